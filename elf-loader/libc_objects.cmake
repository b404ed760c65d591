# The dynamic linker is linked with libc.a as a whole, but for the objects whose work it does
# itself; and it starts where some others end, so that some of their symbols get another name.

# Left out of the image: the start of a static program, its thread-local storage, its relocation,
# dlsym without thread-local variables, and unloading without TLS descriptors.
set(ELF_LOADER_REPLACED_OBJECTS
    init-first.o libc-tls.o dl-reloc-static-pie.o dl-sym.o tlsdesc.o)

# Renamed with the objcopy options of ELF_LOADER_OBJCOPY_<object>.
set(ELF_LOADER_CHANGED_OBJECTS libc-start.o dl-support.o dl-open.o)
# The image's start, which calls back into the dynamic linker.
set(ELF_LOADER_OBJCOPY_libc-start.o
    --redefine-sym __libc_start_main=coracle_libc_start
    --redefine-sym __libc_start_main_impl=coracle_libc_start_impl
    --globalize-symbol=__libc_start_call_main)
# A weak reference that stays null: the tables of _dl_find_object are made once, by us, when all
# objects are mapped.
set(ELF_LOADER_OBJCOPY_dl-support.o
    --redefine-sym _dl_find_object_init=coracle_unused_find_object_init)
# dlopen, for TLS descriptors.
set(ELF_LOADER_OBJCOPY_dl-open.o
    --redefine-sym _dl_relocate_object=coracle_relocate_object)
