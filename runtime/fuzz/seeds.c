/* Writes the .qdm seeds of the corpus: `seeds FOLDER`. Networks with every operator, of every format version. */
#include "../tests/network.h"
#include "../tests/network_island.h"
#include "../tests/network_move.h"

static void save(const char *folder, const char *name, const uint8_t *data, uint32_t size) {
    char path[1024];
    FILE *file;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

int main(int argc, char **argv) {
    static uint8_t file[W_MAX];
    if (argc != 2) return 2;
    save(argv[1], "every_operator_1_0.qdm", file, write_network(file, 0));
    save(argv[1], "every_operator_1_1.qdm", file, write_network(file, 1));
    save(argv[1], "every_operator_1_2.qdm", file, write_network(file, 2));
    save(argv[1], "cut_off.qdm", file, 100);
    save(argv[1], "every_operator_1_3.qdm", file, write_network(file, 3));
    save(argv[1], "moves_1_3.qdm", file, write_moves(file));
    save(argv[1], "islands_1_3.qdm", file, write_islands(file));
    return 0;
}
