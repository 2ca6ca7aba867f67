/*
 * A plugin for qemu's user emulation (versions 5 to 8, linked to glib: Debian's `qemu-user`, not the static build): how often each block of a
 * program was executed. Writes lines of count, symbol and the block's instructions, the bytes of each in hexadecimal, to FILE at exit:
 *   gcc -O2 -shared -fPIC count_blocks.c -o count_blocks.so && qemu-aarch64 -plugin ./count_blocks.so,out=FILE PROGRAM
 * Debian ships no header for plugins: the few functions of their interface that are needed are declared here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
typedef struct qemu_plugin_tb block;
typedef struct qemu_plugin_insn instruction;

enum { ADD_U64 = 0, PAGE = 4096 };

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*call)(plugin_id id, block *b));
extern void qemu_plugin_register_vcpu_tb_exec_inline(block *b, int op, void *counter, uint64_t step);
extern void qemu_plugin_register_atexit_cb(plugin_id id, void (*call)(plugin_id id, void *user), void *user);
extern size_t qemu_plugin_tb_n_insns(const block *b);
extern uint64_t qemu_plugin_tb_vaddr(const block *b);
extern instruction *qemu_plugin_tb_get_insn(const block *b, size_t index);
extern const void *qemu_plugin_insn_data(const instruction *i);
extern size_t qemu_plugin_insn_size(const instruction *i);
extern const char *qemu_plugin_insn_symbol(const instruction *i);

EXPORT int qemu_plugin_version = 1;

typedef struct counted {
    uint64_t times, at;
    size_t size;
    const char *symbol;
    unsigned char *bytes; /* of all instructions */
    unsigned char *last;  /* 1 where an instruction ends */
    struct counted *next;
} counted;

static counted *all;
static char *path;

static void *memory(size_t n) {
    void *p = calloc(1, n);
    if (!p) abort();
    return p;
}

static void translated(plugin_id id, block *b) {
    const size_t n = qemu_plugin_tb_n_insns(b);
    counted *c = memory(sizeof *c);
    const char *symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(b, 0));
    (void)id;
    c->symbol = strdup(symbol ? symbol : "?");
    c->at = qemu_plugin_tb_vaddr(b);
    c->bytes = memory(4 * n);
    c->last = memory(4 * n);
    for (size_t i = 0; i < n; i++) {
        const instruction *at = qemu_plugin_tb_get_insn(b, i);
        const size_t size = qemu_plugin_insn_size(at);
        if (size != 2 && size != 4) continue;
        memcpy(c->bytes + c->size, qemu_plugin_insn_data(at), size);
        c->size += size;
        c->last[c->size - 1] = 1;
    }
    c->next = all;
    all = c;
    qemu_plugin_register_vcpu_tb_exec_inline(b, ADD_U64, &c->times, 1);
}

/* Where a page ends the emulator cuts a block in two, which a processor does not: they are one again. */
static void join_pages(void) {
    for (counted *c = all; c; c = c->next) {
        for (counted *rest = all; c->times > 0 && (c->at + c->size) % PAGE == 0 && rest; rest = rest->next) {
            unsigned char *bytes, *last;
            if (rest->at != c->at + c->size || rest->times != c->times) continue;
            bytes = memory(c->size + rest->size);
            memcpy(bytes, c->bytes, c->size);
            memcpy(bytes + c->size, rest->bytes, rest->size);
            last = memory(c->size + rest->size);
            memcpy(last, c->last, c->size);
            memcpy(last + c->size, rest->last, rest->size);
            c->bytes = bytes;
            c->last = last;
            c->size += rest->size;
            rest->times = 0;
        }
    }
}

static void finished(plugin_id id, void *user) {
    FILE *file = fopen(path, "w");
    (void)id;
    (void)user;
    if (!file) abort();
    join_pages();
    for (const counted *c = all; c; c = c->next) {
        fprintf(file, "%llu\t%s\t", (unsigned long long)c->times, c->symbol);
        for (size_t i = 0; i < c->size; i++) fprintf(file, "%02x%s", c->bytes[i], c->last[i] && i + 1 < c->size ? " " : "");
        fputc('\n', file);
    }
    fclose(file);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "out=", 4) == 0) path = strdup(argv[i] + 4);
    }
    if (!path) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finished, NULL);
    return 0;
}
