# HOST_ONLY: its message comes from the command before there is a VM.

# Binding and scopes.
loader_library(lazy_binding liblazy.so library.c FLAGS -mavx)
loader_library(lazy_binding liblazy.so library.c DIRECTORY link FLAGS -mavx -DCOMPLETE)
loader_program(lazy_binding main main.c FLAGS -mavx ${origin} LIBRARIES link/liblazy.so)
loader_test(lazy_binding 0)
loader_test(lazy_binding 127 NAME lazy_binding_missing ARGUMENTS call)
loader_test(lazy_binding 127 NAME bind_now_missing ENVIRONMENT LD_BIND_NOW=1)

loader_library(dlopen_scopes libscope_a.so library.c FLAGS -DWHO="a")
loader_library(dlopen_scopes libscope_b.so library.c FLAGS -DWHO="b")
loader_program(dlopen_scopes main main.c FLAGS -Wl,-E ${origin} LIBRARIES m)
loader_test(dlopen_scopes 0)

loader_library(interposer libpreloaded.so preloaded.c)
loader_program(interposer main main.c)
loader_test(interposer 0 ENVIRONMENT LD_PRELOAD=${scenario_root}/interposer/libpreloaded.so)
loader_test(interposer 0 NAME preload_missing HOST_ONLY ENVIRONMENT LD_PRELOAD=./libnone.so)

set(scripts ${CMAKE_CURRENT_SOURCE_DIR}/versions)
loader_library(versions libversions.so library.c FLAGS
    -Wl,--version-script=${scripts}/library.map)
loader_library(versions libversions.so stale.c DIRECTORY stale FLAGS
    -Wl,--version-script=${scripts}/stale.map)
loader_program(versions main main.c FLAGS ${origin} LIBRARIES libversions.so)
loader_test(versions 0)
loader_program(versions stale_main main.c FLAGS ${origin_stale}
    LIBRARIES libversions.so)
loader_test(versions 1 NAME version_missing PROGRAM stale_main)

loader_library(visibility libplain.so library.c)
loader_library(visibility libsymbolic.so symbolic.c FLAGS -Wl,-Bsymbolic)
loader_library(visibility libunique_a.so unique.cpp FLAGS -DFUNCTION=unique_from_a)
loader_library(visibility libunique_b.so unique.cpp FLAGS -DFUNCTION=unique_from_b)
loader_program(visibility main main.c FLAGS -Wl,-E ${origin}
    LIBRARIES libplain.so libsymbolic.so libunique_a.so libunique_b.so)
loader_test(visibility 0)

loader_library(runpath libonly_by_path.so inner.c DIRECTORY sub)
loader_library(runpath libinner.so inner.c DIRECTORY sub)
loader_library(runpath libinner.so inner.c)
loader_library(runpath libouter.so outer.c DIRECTORY sub FLAGS ${origin} LIBRARIES libinner.so)
loader_library(runpath libouter.so outer.c LIBRARIES libinner.so)
loader_program(runpath main main.c FLAGS ${origin_sub} LIBRARIES libouter.so)
loader_test(runpath 0)
loader_test(runpath 0 NAME library_path ENVIRONMENT LD_LIBRARY_PATH=.:sub)

# Relocations.
loader_library(copy_relocation libshared.so library.c)
loader_program(copy_relocation main main.c FLAGS -fno-pie -no-pie ${origin} LIBRARIES libshared.so)
loader_test(copy_relocation 0)
loader_library(ifunc libifunc.so library.c)
loader_program(ifunc main main.c FLAGS ${origin} LIBRARIES libifunc.so)
loader_test(ifunc 0)
loader_library(relr librelr.so library.c FLAGS -Wl,-z,pack-relative-relocs)
loader_program(relr main main.c FLAGS -Wl,-z,pack-relative-relocs ${origin} LIBRARIES librelr.so)
loader_test(relr 0)
loader_library(text_relocations libtext.so library.S FLAGS -Wl,-z,notext)
loader_library(text_relocations libexecstack.so execstack.c FLAGS -Wl,-z,execstack)
loader_program(text_relocations main main.c FLAGS ${origin} LIBRARIES libtext.so)
loader_test(text_relocations 0)
loader_program(old_start main main.c FLAGS -nostartfiles)
loader_test(old_start 4)

# Thread-local storage.
loader_library(large_tls libtls.so library.c)
loader_program(large_tls main main.c FLAGS ${origin} LIBRARIES libtls.so)
loader_test(large_tls 0)
loader_library(dlopen_tls libtls_a.so library.c FLAGS -DVALUE=100)
loader_library(dlopen_tls libtls_b.so library.c FLAGS -DVALUE=101)
loader_library(dlopen_tls libtls_fixed.so library.c
    FLAGS -DVALUE=7 -DPADDING=8 -ftls-model=initial-exec)
loader_library(dlopen_tls libtls_huge.so library.c
    FLAGS -DVALUE=8 -DPADDING=1000000 -ftls-model=initial-exec)
loader_program(dlopen_tls main main.c FLAGS ${origin})
loader_test(dlopen_tls 0)
loader_library(tls_descriptors libstart.so library.c FLAGS -DSUM=sum_start -mtls-dialect=gnu2)
loader_library(tls_descriptors libdescriptor.so library.c
    FLAGS -DSUM=sum_loaded -mtls-dialect=gnu2 -Wl,-Bsymbolic)
loader_program(tls_descriptors main main.c FLAGS ${origin} LIBRARIES libstart.so)
loader_test(tls_descriptors 0)
loader_library(thread_exit libthread_local.so library.cpp)
loader_program(thread_exit main main.cpp FLAGS ${origin})
loader_test(thread_exit 0)

# Start and end.
loader_library(constructors libctor_a.so library.cpp FLAGS -DNAME="a" -DUSE=use_a)
loader_library(constructors libctor_b.so library.cpp FLAGS ${origin} -DNAME="b" -DUSE=use_b
    LIBRARIES libctor_a.so)
loader_library(constructors libctor_c.so library.cpp FLAGS ${origin} -DNAME="c" -DUSE=use_c
    LIBRARIES libctor_a.so libctor_b.so)
loader_library(constructors libctor_d.so library.cpp FLAGS ${origin} -DNAME="d" -DUSE=use_d
    LIBRARIES libctor_c.so)
loader_program(constructors main main.cpp FLAGS ${origin} LIBRARIES libctor_b.so)
loader_test(constructors 0)

# Exceptions.
loader_library(exceptions libthrow_inner.so library.cpp
    FLAGS -DNAME="inner" -DFUNCTION=throw_inner -DIS_LOADED=0)
loader_library(exceptions libthrow_middle.so library.cpp
    FLAGS -DNAME="middle" -DFUNCTION=throw_middle -DNEXT=throw_inner ${origin}
    LIBRARIES libthrow_inner.so)
loader_library(exceptions libthrow_outer.so library.cpp
    FLAGS -DNAME="outer" -DFUNCTION=throw_through -DNEXT=throw_middle ${origin}
    LIBRARIES libthrow_middle.so)
loader_library(exceptions libthrow_loaded.so library.cpp
    FLAGS -DNAME="loaded" -DFUNCTION=throw_loaded -DIS_LOADED=1)
loader_program(exceptions main main.cpp FLAGS ${origin}
    LIBRARIES libthrow_outer.so libthrow_middle.so libthrow_inner.so)
loader_test(exceptions 0)

# What goes wrong.
loader_library(missing_library libgone.so gone.c SONAME libgone.so.9)
loader_program(missing_library main main.c LIBRARIES libgone.so)
loader_test(missing_library 127 HOST_ONLY)
loader_library(missing_symbol libpartial.so full.c DIRECTORY link)
loader_library(missing_symbol libpartial.so partial.c)
loader_library(missing_symbol libneeds_absent.so needs_absent.c)
loader_program(missing_symbol main main.c FLAGS ${origin} LIBRARIES link/libpartial.so)
loader_test(missing_symbol 127)

# Whole-process features.
loader_library(malloc_replacement libstart.so plugin.cpp FLAGS -DCOUNT=20)
loader_library(malloc_replacement libplugin.so plugin.cpp FLAGS -DCOUNT=200 -Wl,-Bsymbolic)
loader_program(malloc_replacement main main.c FLAGS -fno-builtin ${origin} LIBRARIES libstart.so)
loader_test(malloc_replacement 0)
loader_library(addresses libaddresses.so library.c)
loader_program(addresses main main.c FLAGS -Wl,-E ${origin} LIBRARIES libaddresses.so)
loader_test(addresses 0)
loader_program(iconv_nss main main.c)
loader_test(iconv_nss 0)
loader_library(chain liblink_40.so library.c FLAGS -DFUNCTION=link_40)
foreach(i RANGE 39 1 -1)
    math(EXPR next "${i} + 1")
    loader_library(chain liblink_${i}.so library.c
        FLAGS -DFUNCTION=link_${i} -DNEXT=link_${next} ${origin} LIBRARIES liblink_${next}.so)
endforeach()
loader_program(chain main main.c FLAGS ${origin} LIBRARIES liblink_1.so)
loader_test(chain 0)
loader_library(many_tls libone_tls.so library.c)
loader_program(many_tls main main.c)
loader_test(many_tls 0)
loader_program(unwinding main main.cpp)
loader_test(unwinding 0)
