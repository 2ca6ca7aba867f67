/* qd_bench: how long a packed model takes, as a whole and operator by operator. */
#include "tool.h"

#include "limits.h"

static const char usage[] =
    "usage: qd_bench MODEL.qdm [--kernels auto|ref|avx2|avx512|neon|dotprod|arm32] [--threads N] [--runs N] [--warmup N] [--json]\n"
    "Median and 95th percentile of whole runs on a fixed input, then those of each operator, measured in runs of their own.\n"
    "Cycles are those of the core, by the speed of a chain of dependent instructions timed in the same process; the limit is\n"
    "what the instruction set allows per cycle for the operator's arithmetic (docs/benchmarks.md).\n";

typedef struct arguments {
    const char *model, *kernels_name;
    qd_family kernels;
    long runs, warmup, threads;
    int json;
} arguments;

static arguments parse(int argc, char **argv) {
    arguments a = {NULL, "auto", QD_AUTO, 50, 5, 1, 0};
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        if (strcmp(option, "--version") == 0) {
            print_version("qd_bench");
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
        } else if (strcmp(option, "--threads") == 0) {
            a.threads = number_of(option, argv[i], 1, 64);
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

/* The same values on every machine; spare bits are 0, digits 0 have no sign, and floats are small and finite. */
static void *make_input(qd_tensor t) {
    unsigned char *input = (unsigned char *)need_memory(t.bytes);
    const size_t planes = t.dtype == QD_TRITS ? 2 : t.dtype == QD_BITS ? 1 : 0, pixel = t.bytes / ((size_t)t.h * t.w);
    uint32_t state = 1;
    for (size_t i = 0; i < t.bytes && t.dtype != QD_F32; i++) {
        state = state * 1664525u + 1013904223u;
        input[i] = (unsigned char)(state >> 24);
        if (planes) {
            const size_t first = i % pixel / planes * 8, used = t.c < first ? 0 : t.c - first;
            if (used < 8) input[i] &= (unsigned char)((1u << used) - 1);
            if (planes == 2 && i % 2 == 1) input[i - 1] &= input[i];
        }
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

/* `totals` are the runs' seconds, sorted. */
static void report(const arguments *a, const qd_model *model, const double *totals, double median, double p95, double opened, double hertz,
                   clock_state *layers) {
    const double units = dot_units(hertz);
    if (a->json) {
        printf("{\"runs\": %ld, \"median_ms\": %.6f, \"p95_ms\": %.6f, \"fastest_ms\": %.6f, \"kernels\": \"%s\", \"macs\": %llu, \"open_ms\": %.3f, \"core_ghz\": "
               "%.4f, \"layers\": [", a->runs, median * 1e3, p95 * 1e3, totals[0] * 1e3, a->kernels_name, (unsigned long long)qd_macs(model), opened * 1e3, hertz / 1e9);
    } else {
        printf("%ld runs, %s kernels, %ld thread(s): median %.3f ms, p95 %.3f ms, %.2f GMAC/s", a->runs, a->kernels_name, a->threads, median * 1e3,
               p95 * 1e3, (double)qd_macs(model) / median / 1e9);
        printf(", read and checked in %.2f ms", opened * 1e3);
        if (hertz > 0) printf(", core at %.2f GHz", hertz / 1e9);
        printf("\n%12s %12s %12s %10s %10s %9s  %-10s %s\n", "median us", "p95 us", "MACs", "GMAC/s", "MAC/cycle", "of limit",
               "operator", "name");
    }
    for (uint32_t i = 0; i < qd_op_count(model); i++) {
        const qd_op_description op = qd_op_info(model, i);
        double *times = layers->times + i * layers->runs;
        const double slow = percentile(times, layers->runs, 95), seconds = percentile(times, layers->runs, 50);
        const double macs = (double)op.macs, limit = limit_of(a->kernels, units, &op);
        const double per_cycle = hertz > 0 && seconds > 0 ? macs / (seconds * hertz) : 0;
        if (a->json) {
            printf("%s{\"name\": ", i == 0 ? "" : ", ");
            print_json_text(op.name, op.name_length);
            printf(", \"op\": \"%s\", \"macs\": %llu, \"median_us\": %.3f, \"p95_us\": %.3f, \"mac_per_cycle\": %.2f, \"limit\": %.1f}",
                   op.opcode, (unsigned long long)op.macs, seconds * 1e6, slow * 1e6, per_cycle, limit);
        } else {
            printf("%12.2f %12.2f %12llu %10.2f %10.1f", seconds * 1e6, slow * 1e6, (unsigned long long)op.macs,
                   seconds > 0 ? macs / seconds / 1e9 : 0.0, per_cycle);
            if (limit > 0 && per_cycle > 0) printf(" %8.0f%%", 100 * per_cycle / limit);
            else printf(" %9s", "-");
            printf("  %-10s %.*s\n", op.opcode, (int)op.name_length, op.name);
        }
    }
    if (a->json) printf("]}\n");
}

int main(int argc, char **argv) {
    const arguments a = parse(argc, argv);
    const double opening = port_seconds();
    const qd_model model = open_model(a.model);
    const double opened = port_seconds() - opening;
    const size_t runs = (size_t)a.runs, arena_bytes = qd_arena_bytes(&model);
    void *arena = need_memory(arena_bytes), *input = make_input(qd_input(&model)), *output = need_memory(qd_output(&model).bytes);
    double *totals = (double *)need_memory(runs * sizeof *totals), clocks[3], median, p95;
    qd_options options = {QD_AUTO, NULL, NULL, NULL, NULL, 1, NULL};
    clock_state layers = {0, NULL, runs, 0};

    options.kernels = a.kernels;
    if (a.threads > 1) {
        options.parallel = port_pool_run;
        options.threads = (uint32_t)a.threads;
        options.pool = port_pool_new((size_t)a.threads);
        options.workspace = need_memory((size_t)(a.threads - 1) * qd_workspace_bytes(&model));
        if (!options.pool) die(TOOL_FAILED, "cannot start %ld threads", a.threads);
    }
    layers.times = (double *)need_memory(qd_op_count(&model) * runs * sizeof *layers.times);
    clocks[0] = core_hertz();
    for (long i = 0; i < a.warmup + a.runs; i++) {
        const double start = port_seconds();
        const qd_status status = qd_run(&model, &options, arena, arena_bytes, input, output);
        if (status != QD_OK) die(TOOL_FAILED, "%s: %s", a.model, qd_status_str(status));
        if (i >= a.warmup) totals[i - a.warmup] = port_seconds() - start;
    }
    median = percentile(totals, runs, 50);
    p95 = percentile(totals, runs, 95);
    clocks[1] = core_hertz();
    options.observer = note_time;
    options.user = &layers;
    for (layers.run = 0; layers.run < runs; layers.run++) {
        layers.last = port_seconds();
        qd_run(&model, &options, arena, arena_bytes, input, output);
    }
    clocks[2] = core_hertz();
    report(&a, &model, totals, median, p95, opened, percentile(clocks, 3, 50), &layers);
    port_pool_free((port_pool *)options.pool);
    if (fflush(stdout) != 0) die(TOOL_FAILED, "cannot write to standard output");
    return TOOL_OK;
}
