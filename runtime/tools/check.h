/* qd_run --check: whether a file is the one that was built, by its SHA-256 (FIPS 180-4) and the manifest beside it. */
#ifndef QD_CHECK_H
#define QD_CHECK_H

#include "tool.h"

enum { HASH_DIGITS = 64 };

static uint32_t rotated(uint32_t x, int n) { return x >> n | x << (32 - n); }

static void hash_block(uint32_t h[8], const unsigned char *p) {
    static const uint32_t k[64] = {
        0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5, 0xD807AA98, 0x12835B01, 0x243185BE,
        0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174, 0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA,
        0x5CB0A9DC, 0x76F988DA, 0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967, 0x27B70A85,
        0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85, 0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3,
        0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070, 0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F,
        0x682E6FF3, 0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2};
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++, p += 4) w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
    for (int i = 16; i < 64; i++) {
        const uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotated(a, 7) ^ rotated(a, 18) ^ a >> 3) + w[i - 7] + (rotated(b, 17) ^ rotated(b, 19) ^ b >> 10);
    }
    memcpy(v, h, sizeof v);
    for (int i = 0; i < 64; i++) {
        const uint32_t a = v[0], e = v[4];
        const uint32_t one = v[7] + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) + ((e & v[5]) ^ (~e & v[6])) + k[i] + w[i];
        const uint32_t two = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (int i = 0; i < 8; i++) h[i] += v[i];
}

/* The SHA-256 of n bytes as 64 digits and a zero. */
static void hash_of(const unsigned char *data, size_t n, char text[HASH_DIGITS + 1]) {
    uint32_t h[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};
    const size_t rest = n % 64, padded = rest < 56 ? 64 : 128;
    unsigned char last[128] = {0};
    for (size_t at = 0; at + 64 <= n; at += 64) hash_block(h, data + at);
    memcpy(last, data + n - rest, rest);
    last[rest] = 0x80;
    for (size_t i = 0; i < 8; i++) last[padded - 1 - i] = (unsigned char)((uint64_t)n * 8 >> 8 * i);
    for (size_t at = 0; at < padded; at += 64) hash_block(h, last + at);
    for (int i = 0; i < 8; i++) snprintf(text + 8 * (size_t)i, 9, "%08lx", (unsigned long)h[i]);
}

/* A string of JSON, between its quotes, escapes as they stand. */
typedef struct json_text {
    const char *at;
    size_t n;
} json_text;

static int is_text(json_text text, const char *other) { return text.n == strlen(other) && memcmp(text.at, other, text.n) == 0; }

/* The string whose opening quote is at *p; *p moves behind its end, or to `end` where it has none. */
static json_text json_string(const char **p, const char *end) {
    json_text text;
    text.at = ++*p;
    while (*p < end && **p != '"') *p += **p == '\\' && end - *p > 1 ? 2 : 1;
    text.n = (size_t)(*p - text.at);
    if (*p < end) ++*p;
    return text;
}

/*
 * The hash that a manifest has for the artefact `name`: the "sha256" beside the "path", in an object of the list "artefacts". Reads no
 * more of JSON than that takes; any bytes are safe. 1 if it is there and has 64 digits.
 */
static int manifest_hash(const char *manifest, size_t size, const char *name, char hash[HASH_DIGITS + 1]) {
    const char *p = manifest, *end = manifest + size;
    const json_text none = {"", 0};
    json_text key = none, path = none, sum = none;
    int listed = 0, value = 0; /* inside of the list; behind a colon */
    while (p < end) {
        if (*p == '"') {
            const json_text text = json_string(&p, end);
            if (!value) key = text;
            else if (is_text(key, "path")) path = text;
            else if (is_text(key, "sha256")) sum = text;
            continue;
        }
        if (*p == ':' || *p == ',') value = *p == ':';
        else if (*p == '{') path = sum = key = none, value = 0;
        else if (*p == '[' && value && is_text(key, "artefacts")) listed = 1;
        else if (*p == ']' && listed) return 0;
        else if (*p == '}' && listed && is_text(path, name) && sum.n == HASH_DIGITS) {
            memcpy(hash, sum.at, HASH_DIGITS);
            hash[HASH_DIGITS] = '\0';
            return 1;
        }
        p++;
    }
    return 0;
}

static void *need_file(const char *path, size_t *size) {
    const char *why = "";
    void *data = port_load(path, size, &why);
    if (!data) die(TOOL_BAD_INPUT, "%s: %s", path, why);
    return data;
}

/* What --check does; given: the hash that the file must have, or NULL. The exit status. */
static int check_model(const char *path, const char *given) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    char found[HASH_DIGITS + 1], wanted[HASH_DIGITS + 1];
    size_t size, n = (size_t)(name - path);
    const unsigned char *data = (const unsigned char *)need_file(path, &size);
    if (given) {
        if (strlen(given) != HASH_DIGITS) die(TOOL_BAD_INPUT, "a SHA-256 has %d digits: %s", (int)HASH_DIGITS, given);
        memcpy(wanted, given, sizeof wanted);
    } else {
        char *manifest = (char *)need_memory(n + sizeof "manifest.json");
        const char *text;
        size_t length;
        memcpy(manifest, path, n);
        memcpy(manifest + n, "manifest.json", sizeof "manifest.json");
        text = (const char *)need_file(manifest, &length);
        if (!manifest_hash(text, length, name, wanted)) die(TOOL_BAD_INPUT, "%s: no hash of %s", manifest, name);
    }
    for (char *c = wanted; *c; c++) *c = (char)(*c >= 'A' && *c <= 'F' ? *c - 'A' + 'a' : *c);
    hash_of(data, size, found);
    if (strcmp(found, wanted) != 0) die(TOOL_FAILED, "%s: not the file that was built: its SHA-256 is %s, not %s", path, found, wanted);
    open_model(path);
    printf("%s: the file that was built, SHA-256 %s\n", path, found);
    return TOOL_OK;
}

#endif
