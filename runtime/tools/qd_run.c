/* qd_run: answers of a packed model for images or arrays. */
#include "check.h"
#include "tool.h"
#include "tool_files.h"

static const char usage[] =
    "usage: qd_run MODEL.qdm INPUT [--out LOGITS.npy] [--kernels auto|ref|avx2|avx512|neon|dotprod|arm32] [--top N] [--dump DIR]\n"
    "       qd_run --check MODEL.qdm [SHA256]\n"
    "INPUT: an 8-bit PNM image (P6, or P5 for one channel) of the model's size, or a .npy array [N,C,H,W] or [C,H,W].\n"
    "One sample: prints the N best classes (5 unless told) with their scores, then all logits; of a model that ends in an argmax the class of\n"
    "each pixel. Several: needs --out.\n"
    "--dump: writes the output buffer of every operator for the first sample to DIR/NNN.bin.\n"
    "--check: is MODEL the file that was built? Its SHA-256 must be the one given, or the one in manifest.json beside it, and the file\n"
    "must be valid. Exit status 0: yes; 1: no; 2: it cannot be told. A manifest that came with the model shows accidents, not forgery.\n";

typedef struct arguments {
    const char *model, *input, *out, *dump;
    qd_family kernels;
    long top;
    int check; /* input is the hash, or NULL */
} arguments;

static arguments parse(int argc, char **argv) {
    arguments a = {NULL, NULL, NULL, NULL, QD_AUTO, 5, 0};
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--version") == 0) {
            print_version("qd_run");
            exit(TOOL_OK);
        }
        if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
            fputs(usage, stdout);
            exit(TOOL_OK);
        }
        if (strcmp(option, "--check") == 0) {
            a.check = 1;
            continue;
        }
        if (option[0] != '-') {
            if (!a.model) a.model = option;
            else if (!a.input) a.input = option;
            else die(TOOL_BAD_INPUT, "one argument too many: %s", option);
            continue;
        }
        if (i + 1 == argc) die(TOOL_BAD_INPUT, "%s: unknown, or needs a value (see --help)", option);
        i++;
        if (strcmp(option, "--out") == 0) a.out = argv[i];
        else if (strcmp(option, "--dump") == 0) a.dump = argv[i];
        else if (strcmp(option, "--kernels") == 0) a.kernels = family_of(argv[i]);
        else if (strcmp(option, "--top") == 0) a.top = number_of(option, argv[i], 0, 1000000);
        else die(TOOL_BAD_INPUT, "unknown option %s (see --help)", option);
    }
    if (!a.model || (!a.input && !a.check)) {
        fputs(usage, stderr);
        exit(TOOL_BAD_INPUT);
    }
    return a;
}

typedef struct dump {
    const qd_model *model;
    const char *folder;
} dump;

/* The buffer as a little-endian machine has it in memory. */
static void dump_layer(void *user, uint32_t op, const void *output, size_t bytes) {
    const dump *to = (const dump *)user;
    const size_t n = strlen(to->folder) + 32, element = element_size(qd_op_info(to->model, op).output.dtype);
    char *path = (char *)need_memory(n);
    unsigned char *copy = (unsigned char *)need_memory(bytes);
    memcpy(copy, output, bytes);
    if (element > 1) swap_if_big_endian(copy, bytes / element, element);
    snprintf(path, n, "%s/%03lu.bin", to->folder, (unsigned long)op);
    write_file(path, "", 0, copy, bytes);
    port_free(copy);
    port_free(path);
}

/* Element i of an output as int32 or, if the model ends in binary32, as it is. */
typedef struct logits {
    size_t n;
    int real;
    const float *reals;
    const int32_t *integers;
} logits;

/* Element i of an output as four bytes: narrow integers become int32, so that every model prints and saves the same way. */
static void widen(qd_dtype dtype, const unsigned char *raw, size_t i, unsigned char *to) {
    int32_t value = dtype == QD_U8 ? raw[i] : (int8_t)raw[i];
    if (dtype == QD_I16) {
        int16_t half;
        memcpy(&half, raw + 2 * i, 2);
        value = half;
    }
    memcpy(to, element_size(dtype) == 4 ? raw + 4 * i : (const unsigned char *)&value, 4);
}

/* An output as torch has it: C, H, W. */
static void give_sample(qd_tensor t, const unsigned char *raw, unsigned char *to) {
    const size_t plane = (size_t)t.h * t.w;
    for (size_t c = 0; c < t.c; c++) {
        for (size_t p = 0; p < plane; p++, to += 4) widen(t.dtype, raw, p * t.c + c, to);
    }
}

static double score(const logits *l, size_t i) { return l->real ? (double)l->reals[i] : (double)l->integers[i]; }

static void print_one(const logits *l, size_t i) {
    if (l->real) printf("%.9g", (double)l->reals[i]);
    else printf("%ld", (long)l->integers[i]);
}

/* The best classes first, of equal ones the lower index; then all logits, to the last bit. Or the classes, if those are the output. */
static void print_answer(const logits *l, size_t top, int classes) {
    unsigned char *shown = (unsigned char *)need_memory(l->n);
    for (size_t k = 0; k < top && k < l->n && !classes; k++) {
        size_t best = l->n;
        for (size_t i = 0; i < l->n; i++) {
            if (!shown[i] && (best == l->n || score(l, i) > score(l, best))) best = i;
        }
        shown[best] = 1;
        printf("%zu ", best);
        print_one(l, best);
        putchar('\n');
    }
    fputs(classes ? "class:" : "logits:", stdout);
    for (size_t i = 0; i < l->n; i++) {
        putchar(' ');
        print_one(l, i);
    }
    putchar('\n');
    port_free(shown);
}

static int run(arguments a) {
    const qd_model model = open_model(a.model);
    const qd_tensor in = qd_input(&model), out = qd_output(&model);
    const samples from = read_samples(a.input, in);
    const size_t n = (size_t)out.h * out.w * out.c;
    const int real = out.dtype == QD_F32;
    unsigned char *arena, *input, *raw, *all;
    qd_options options = {QD_AUTO, NULL, NULL, NULL, NULL, 1, NULL};
    dump dumped;

    options.kernels = a.kernels;
    dumped.model = &model;
    dumped.folder = a.dump;
    if (out.dtype == QD_BITS || out.dtype == QD_TRITS) die(TOOL_BAD_INPUT, "%s: the output is bit-packed; there are no logits to print", a.model);
    if (from.n > 1 && !a.out) die(TOOL_BAD_INPUT, "%s: %zu samples; give --out FILE.npy", a.input, from.n);
    if (from.n > SIZE_MAX / 4 / n) die(TOOL_BAD_INPUT, "%s: too many samples", a.input);
    if (a.dump && !port_make_folder(a.dump)) die(TOOL_FAILED, "%s: cannot make the folder", a.dump);
    arena = (unsigned char *)need_memory(qd_arena_bytes(&model));
    input = (unsigned char *)need_memory(in.bytes);
    raw = (unsigned char *)need_memory(out.bytes);
    all = (unsigned char *)need_memory(from.n * n * 4);
    for (size_t i = 0; i < from.n; i++) {
        qd_status status;
        take_sample(&from, i, in, input);
        options.observer = a.dump && i == 0 ? dump_layer : NULL;
        options.user = &dumped;
        status = qd_run(&model, &options, arena, qd_arena_bytes(&model), input, raw);
        if (status != QD_OK) die(TOOL_FAILED, "%s: %s", a.model, qd_status_str(status));
        give_sample(out, raw, all + i * n * 4);
    }
    if (a.out) write_npy(a.out, real ? "<f4" : "<i4", from.n, out, all);
    if (from.n == 1) {
        const logits l = {n, real, (const float *)(const void *)all, (const int32_t *)(const void *)all};
        const qd_op_description last = qd_op_info(&model, qd_op_count(&model) - 1);
        print_answer(&l, (size_t)a.top, strcmp(last.opcode, "ARG_MAX") == 0);
    } else {
        printf("%zu samples x %zu logits -> %s\n", from.n, n, a.out);
    }
    if (fflush(stdout) != 0) die(TOOL_FAILED, "cannot write to standard output");
    return TOOL_OK;
}

TOOL_ONCE int main(int argc, char **argv) {
    const arguments a = parse(argc, argv);
    return a.check ? check_model(a.model, a.input) : run(a);
}
