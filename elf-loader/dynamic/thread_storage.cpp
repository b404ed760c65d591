#include "elf-loader/dynamic/thread_storage.h"

#include <asm/prctl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/glibc_thread.h"
#include "elf-loader/dynamic/self_relocation.h"

extern "C" {
void __libc_early_init(bool initial);
int __arch_prctl(int operation, unsigned long address);
void* calloc(size_t count, size_t size);
}

namespace coracle::loader {
namespace {

// glibc frees or resizes a thread's vector unless it is this one, which is the first thread's: it
// must not come from an allocator that the program replaces later.
constexpr size_t kStaticVectorCapacity = 254;

// Slots for modules to come, before dlopen must extend the list.
constexpr size_t kSpareSlots = 62;

constexpr size_t kMinimumAlign = 64;  // Of the thread descriptor (TCB_ALIGNMENT).

}  // namespace

extern "C" {
DtvEntry _dl_static_dtv[2 + kStaticVectorCapacity];
size_t _dl_tls_max_dtv_idx;
bool _dl_tls_dtv_gaps;
SlotInfoList* _dl_tls_dtv_slotinfo_list;
size_t _dl_tls_static_nelem;
size_t _dl_tls_static_size;
size_t _dl_tls_static_used;
size_t _dl_tls_static_align;
size_t _dl_tls_static_surplus;
size_t _dl_tls_static_optional;
size_t _dl_tls_generation;
}

namespace {

constexpr size_t kProvisionalTls = 1024;

// The image's variables and a thread descriptor until the program and its libraries are mapped.
struct alignas(kMinimumAlign) ProvisionalThread {
    char variables[kProvisionalTls];
    ThreadDescriptor descriptor;
} provisional;

size_t round_up(size_t value, size_t align) {
    return (value + align - 1) / align * align;
}

void set_thread_pointer(ThreadDescriptor* thread) {
    thread->tcb = thread;
    thread->self = thread;
    if (__arch_prctl(ARCH_SET_FS, reinterpret_cast<unsigned long>(thread)) != 0) __builtin_trap();
}

// Gives every object of the program its place below the thread pointer; returns the alignment
// that all of them need. The linker has computed the program's offsets in the same way, so that
// the first object's is what its code expects.
size_t assign_offsets(SlotInfoList* list) {
    size_t offset = 0, max_align = kMinimumAlign;
    for (size_t module = 1; module <= _dl_tls_max_dtv_idx; ++module) {
        LinkMap* map = list->slots[module].map;
        const size_t align = map->l_tls_align;
        // The first byte's address has the remainder by `align` that the file gives it.
        const size_t first_byte = (0 - map->l_tls_firstbyte_offset) & (align - 1);
        offset = round_up(offset + map->l_tls_blocksize - first_byte, align) + first_byte;
        map->l_tls_offset = static_cast<ptrdiff_t>(offset);
        if (align > max_align) max_align = align;
    }
    _dl_tls_static_used = offset;
    return max_align;
}

SlotInfoList* list_modules() {
    const size_t count = _dl_tls_max_dtv_idx + 1 + kSpareSlots;
    auto* list =
        static_cast<SlotInfoList*>(calloc(1, sizeof(SlotInfoList) + count * sizeof(SlotInfo)));
    if (list == nullptr) _dl_fatal_printf("cannot allocate TLS data structures\n");
    list->count = count;
    for (LinkMap* map = _dl_ns[0].loaded; map != nullptr; map = map->l_next)
        if (map->l_tls_modid != 0) list->slots[map->l_tls_modid].map = map;
    return list;
}

void use_static_vector(ThreadDescriptor* thread) {
    if (thread->dtv[-1].counter > kStaticVectorCapacity) return;
    memcpy(_dl_static_dtv, &thread->dtv[-1], (2 + thread->dtv[-1].counter) * sizeof(DtvEntry));
    _dl_static_dtv[0].counter = kStaticVectorCapacity;
    thread->dtv = &_dl_static_dtv[1];
}

}  // namespace

void install_thread_storage(LinkMap& image) {
    _dl_tls_dtv_slotinfo_list = list_modules();
    _dl_tls_static_nelem = _dl_tls_max_dtv_idx;
    _dl_tls_static_surplus_init(0);
    const auto provisional_offset =
        static_cast<ptrdiff_t>(round_up(image.l_tls_blocksize, image.l_tls_align));
    _dl_tls_static_align = assign_offsets(_dl_tls_dtv_slotinfo_list);
    _dl_tls_static_size =
        round_up(_dl_tls_static_used + _dl_tls_static_surplus, _dl_tls_static_align) +
        sizeof(ThreadDescriptor);
    _dl_tls_initial_modid_limit = _dl_tls_max_dtv_idx + 1;

    auto* thread = static_cast<ThreadDescriptor*>(_dl_allocate_tls_storage());
    if (thread == nullptr)
        _dl_fatal_printf("cannot allocate TLS data structures for initial thread\n");
    use_static_vector(thread);
    thread->stack_guard = provisional.descriptor.stack_guard;
    thread->pointer_guard = provisional.descriptor.pointer_guard;
    thread->feature_1 = provisional.descriptor.feature_1;
    thread->tid = provisional.descriptor.tid;

    // From here to the new thread pointer nothing may touch a thread-local variable.
    memcpy(reinterpret_cast<char*>(thread) - image.l_tls_offset,
           reinterpret_cast<char*>(&provisional.descriptor) - provisional_offset,
           image.l_tls_blocksize);
    if (image.l_tls_offset != provisional_offset)
        shift_image_tls(image.l_tls_offset - provisional_offset);
    set_thread_pointer(thread);
    __tls_init_tp();
    __libc_early_init(true);  // Again: a thread's least stack depends on the blocks' size.
}

void initialize_thread_blocks(const LinkMap& image) {
    ThreadDescriptor* thread = this_thread();
    char saved[kProvisionalTls];
    char* block = reinterpret_cast<char*>(thread) - image.l_tls_offset;
    memcpy(saved, block, image.l_tls_blocksize);
    _dl_allocate_tls_init(thread, false);
    memcpy(block, saved, image.l_tls_blocksize);
}

// Called by the image's start once resolvers have run, in place of csu/libc-tls.c's.
extern "C" void __libc_setup_tls() {
    __tls_pre_init_tp();
    const Elf64_Ehdr* header = image_header();
    const auto* segments = reinterpret_cast<const Elf64_Phdr*>(image_base() + header->e_phoff);
    for (int i = 0; i < header->e_phnum; ++i) {
        const Elf64_Phdr& segment = segments[i];
        if (segment.p_type != PT_TLS) continue;
        const size_t align = segment.p_align > 0 ? segment.p_align : 1;
        const size_t offset = round_up(segment.p_memsz, align);
        if (offset > kProvisionalTls || align > kMinimumAlign) __builtin_trap();
        memcpy(reinterpret_cast<char*>(&provisional.descriptor) - offset,
               reinterpret_cast<const void*>(image_base() + segment.p_vaddr), segment.p_filesz);
    }
    // The start computes the least stack of a thread from these, for now.
    _dl_tls_static_align = kMinimumAlign;
    _dl_tls_static_size = sizeof(ThreadDescriptor);
    // Locks record their owner's number, and no owner is 0.
    provisional.descriptor.tid = 1;
    set_thread_pointer(&provisional.descriptor);
}

}  // namespace coracle::loader
