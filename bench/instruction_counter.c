// A QEMU TCG plugin (API version 1, QEMU 7.2) that counts the guest's instructions and writes the
// counts at every mark (programs/mark.h) and at the end:
//   MARK ID TOTAL LOWER UPPER REPEATS
// LOWER and UPPER are the halves of the address space: the program and the kernel. Each iteration
// of a rep-prefixed string instruction counts as one, and REPEATS tells how many of them there
// were. With live=FILE, LOWER, UPPER and REPEATS are also the first three 64-bit words of that
// file, at any time. They are exact with one CPU alone. Usage: -plugin
// instruction_counter.so,out=FILE[,live=FILE]
//
// Debian ships no header for plugins, so the declarations follow docs/devel/tcg-plugins.rst.
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef struct qemu_info_t qemu_info_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void (*callback)(qemu_plugin_id_t,
                                                            struct qemu_plugin_tb*));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb* block);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb* block, size_t index);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn* instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn* instruction);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn* instruction);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn* instruction,
                                            void (*callback)(unsigned, void*),
                                            enum qemu_plugin_cb_flags flags, void* data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn* instruction,
                                                enum qemu_plugin_op operation, void* counter,
                                                uint64_t amount);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*callback)(qemu_plugin_id_t, void*),
                                    void* data);

EXPORT int qemu_plugin_version = 1;

struct Counts {
    uint64_t lower, upper, repeats;
};
static struct Counts own_counts, *counts = &own_counts;
static FILE* output;

static void print_counts(const char* what) {
    fprintf(output, "%s %lu %lu %lu %lu\n", what, counts->lower + counts->upper, counts->lower,
            counts->upper, counts->repeats);
    fflush(output);
}

static void reach_mark(unsigned cpu, void* data) {
    (void)cpu;
    char what[16];
    snprintf(what, sizeof(what), "MARK %04x", (unsigned)(uintptr_t)data);
    print_counts(what);
}

// movs, cmps, stos, lods, scas, ins, outs behind a rep prefix and any others.
static bool is_repeated(const uint8_t* code, size_t size) {
    bool repeat = false;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = code[i];
        if (byte == 0xf2 || byte == 0xf3) {
            repeat = true;
        } else if (byte != 0x66 && byte != 0x67 && (byte & 0xf0) != 0x40) {
            bool string = (byte >= 0xa4 && byte <= 0xa7) || (byte >= 0xaa && byte <= 0xaf) ||
                          (byte >= 0x6c && byte <= 0x6f);
            return repeat && string;
        }
    }
    return false;
}

// nopl 0x5ca1ID(%rax,%rax,1)
static bool is_mark(const uint8_t* code, size_t size) {
    static const uint8_t kOpcode[] = {0x0f, 0x1f, 0x84, 0x00};
    return size == 8 && memcmp(code, kOpcode, sizeof(kOpcode)) == 0 && code[6] == 0xa1 &&
           code[7] == 0x5c;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb* block) {
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn* instruction = qemu_plugin_tb_get_insn(block, i);
        const uint8_t* code = qemu_plugin_insn_data(instruction);
        size_t size = qemu_plugin_insn_size(instruction);
        uint64_t* half =
            qemu_plugin_insn_vaddr(instruction) >> 47 ? &counts->upper : &counts->lower;
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64, half,
                                                   1);
        if (is_repeated(code, size)) {
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, QEMU_PLUGIN_INLINE_ADD_U64,
                                                       &counts->repeats, 1);
        }
        if (is_mark(code, size)) {
            uintptr_t number = code[4] | code[5] << 8;
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, reach_mark, QEMU_PLUGIN_CB_NO_REGS,
                                                   (void*)number);
        }
    }
}

static void finish(qemu_plugin_id_t id, void* data) {
    (void)id, (void)data;
    print_counts("EXIT");
    fclose(output);
}

static bool map_counts(const char* path) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || ftruncate(fd, sizeof(*counts))) return false;
    void* mapped = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) return false;
    counts = mapped;
    return true;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t* info, int argc,
                               char** argv) {
    (void)info;
    output = stderr;
    for (int i = 0; i < argc; i++) {
        bool good = true;
        if (strncmp(argv[i], "out=", 4) == 0) {
            good = (output = fopen(argv[i] + 4, "w")) != NULL;
        } else if (strncmp(argv[i], "live=", 5) == 0) {
            good = map_counts(argv[i] + 5);
        }
        if (!good) {
            perror(argv[i]);
            return 1;
        }
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
