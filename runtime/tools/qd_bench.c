/* qd_bench: how long a packed model takes, as a whole and operator by operator. */
#include "tool.h"

static const char usage[] =
    "usage: qd_bench MODEL.qdm [--kernels auto|ref|avx2|neon] [--runs N] [--warmup N] [--json]\n"
    "Median and 95th percentile of whole runs on a fixed input, then the median of each operator, measured in runs of their own.\n";

typedef struct arguments {
    const char *model, *kernels_name;
    qd_family kernels;
    long runs, warmup;
    int json;
} arguments;

static arguments parse(int argc, char **argv) {
    arguments a = {NULL, "auto", QD_AUTO, 50, 5, 0};
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--version") == 0) {
            printf("qd_bench %s, format %d.%d\n", QD_RELEASE, QD_FORMAT_MAJOR, QD_FORMAT_MINOR);
            exit(TOOL_OK);
        }
        if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
            fputs(usage, stdout);
            exit(TOOL_OK);
        }
        if (strcmp(option, "--json") == 0) {
            a.json = 1;
            continue;
        }
        if (option[0] != '-') {
            if (a.model) die(TOOL_BAD_INPUT, "one argument too many: %s", option);
            a.model = option;
            continue;
        }
        if (i + 1 == argc) die(TOOL_BAD_INPUT, "%s: unknown, or needs a value (see --help)", option);
        i++;
        if (strcmp(option, "--kernels") == 0) {
            a.kernels = family_of(argv[i]);
            a.kernels_name = argv[i];
        } else if (strcmp(option, "--runs") == 0) {
            a.runs = number_of(option, argv[i], 1, 1000000);
        } else if (strcmp(option, "--warmup") == 0) {
            a.warmup = number_of(option, argv[i], 0, 1000000);
        } else {
            die(TOOL_BAD_INPUT, "unknown option %s (see --help)", option);
        }
    }
    if (!a.model) {
        fputs(usage, stderr);
        exit(TOOL_BAD_INPUT);
    }
    return a;
}

/* The same values on every machine; bits stay 0 because spare bits must, and floats are small and finite. */
static void *make_input(qd_tensor t) {
    unsigned char *input = (unsigned char *)need_memory(t.bytes);
    uint32_t state = 1;
    for (size_t i = 0; i < t.bytes && t.dtype != QD_BITS && t.dtype != QD_F32; i++) {
        state = state * 1664525u + 1013904223u;
        input[i] = (unsigned char)(state >> 24);
    }
    for (size_t i = 0; t.dtype == QD_F32 && i < t.bytes / 4; i++) {
        const float value = (float)((int)(i % 255) - 127) / 64.0f;
        memcpy(input + 4 * i, &value, 4);
    }
    return input;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The smallest of n values that at least `percent` of them do not exceed; sorts them. */
static double percentile(double *values, size_t n, size_t percent) {
    const size_t rank = (n * percent + 99) / 100;
    qsort(values, n, sizeof *values, by_value);
    return values[rank == 0 ? 0 : rank - 1];
}

/* Times of the operators: [operator][run] seconds. */
typedef struct clock_state {
    double last;
    double *times;
    size_t runs, run;
} clock_state;

static void note_time(void *user, uint32_t op, const void *output, size_t bytes) {
    clock_state *state = (clock_state *)user;
    const double now = port_seconds();
    (void)output;
    (void)bytes;
    state->times[op * state->runs + state->run] = now - state->last;
    state->last = port_seconds();
}

static void print_json_text(const char *text, size_t n) {
    putchar('"');
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') printf("\\%c", c);
        else if (c < 0x20 || c == 0x7F) printf("\\u%04x", c);
        else putchar(c);
    }
    putchar('"');
}

static void report(const arguments *a, const qd_model *model, double median, double p95, clock_state *layers) {
    if (a->json) {
        printf("{\"runs\": %ld, \"median_ms\": %.6f, \"p95_ms\": %.6f, \"kernels\": \"%s\", \"macs\": %llu, \"layers\": [", a->runs,
               median * 1e3, p95 * 1e3, a->kernels_name, (unsigned long long)qd_macs(model));
    } else {
        printf("%ld runs, %s kernels: median %.3f ms, p95 %.3f ms, %.2f GMAC/s\n", a->runs, a->kernels_name, median * 1e3,
               p95 * 1e3, (double)qd_macs(model) / median / 1e9);
        printf("%12s %12s %10s  %-10s %s\n", "median us", "MACs", "GMAC/s", "operator", "name");
    }
    for (uint32_t i = 0; i < qd_op_count(model); i++) {
        const qd_op_description op = qd_op_info(model, i);
        const double seconds = percentile(layers->times + i * layers->runs, layers->runs, 50);
        if (a->json) {
            printf("%s{\"name\": ", i == 0 ? "" : ", ");
            print_json_text(op.name, op.name_length);
            printf(", \"op\": \"%s\", \"macs\": %llu, \"median_us\": %.3f}", op.opcode, (unsigned long long)op.macs, seconds * 1e6);
        } else {
            printf("%12.2f %12llu %10.2f  %-10s %.*s\n", seconds * 1e6, (unsigned long long)op.macs,
                   op.macs == 0 || seconds <= 0 ? 0.0 : (double)op.macs / seconds / 1e9, op.opcode, (int)op.name_length, op.name);
        }
    }
    if (a->json) puts("]}");
}

int main(int argc, char **argv) {
    const arguments a = parse(argc, argv);
    const qd_model model = open_model(a.model);
    const size_t runs = (size_t)a.runs, arena_bytes = qd_arena_bytes(&model);
    void *arena = need_memory(arena_bytes), *input = make_input(qd_input(&model)), *output = need_memory(qd_output(&model).bytes);
    double *totals = (double *)need_memory(runs * sizeof *totals), median, p95;
    qd_options options = {QD_AUTO, NULL, NULL};
    clock_state layers = {0, NULL, runs, 0};

    options.kernels = a.kernels;
    layers.times = (double *)need_memory(qd_op_count(&model) * runs * sizeof *layers.times);
    for (long i = 0; i < a.warmup + a.runs; i++) {
        const double start = port_seconds();
        const qd_status status = qd_run(&model, &options, arena, arena_bytes, input, output);
        if (status != QD_OK) die(TOOL_FAILED, "%s: %s", a.model, qd_status_str(status));
        if (i >= a.warmup) totals[i - a.warmup] = port_seconds() - start;
    }
    median = percentile(totals, runs, 50);
    p95 = percentile(totals, runs, 95);
    options.observer = note_time;
    options.user = &layers;
    for (layers.run = 0; layers.run < runs; layers.run++) {
        layers.last = port_seconds();
        qd_run(&model, &options, arena, arena_bytes, input, output);
    }
    report(&a, &model, median, p95, &layers);
    if (fflush(stdout) != 0) die(TOOL_FAILED, "cannot write to standard output");
    return TOOL_OK;
}
