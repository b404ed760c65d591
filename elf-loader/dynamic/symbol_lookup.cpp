// dlsym(3) and dlvsym(3) behind their locks, in place of libc.a's elf/dl-sym.c, which knows no
// thread-local variables.
#include <dlfcn.h>

#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/glibc_thread.h"
#include "elf-loader/dynamic/scope_guard.h"
#include "elf-loader/dynamic/symbol_address.h"
#include "elf-loader/dynamic/tls_address.h"

namespace coracle::loader {
namespace {

struct Lookup {
    const char* name;
    LinkMap* asking;
    Scope** scope;
    const FoundVersion* version;
    int flags;
    LinkMap* skip;
    const Elf64_Sym* symbol = nullptr;
    LinkMap* owner = nullptr;
};

void look_up(void* argument) {
    auto& lookup = *static_cast<Lookup*>(argument);
    lookup.owner = _dl_lookup_symbol_x(lookup.name, lookup.asking, &lookup.symbol, lookup.scope,
                                       lookup.version, 0, lookup.flags, lookup.skip);
}

LinkMap* caller_map(const void* caller) {
    LinkMap* map = _dl_find_dso_for_object(reinterpret_cast<Elf64_Addr>(caller));
    return map != nullptr ? map : _dl_ns[0].loaded;
}

void* find(void* handle, const char* name, const FoundVersion* version, int flags,
           const void* caller) {
    Lookup lookup = {name, nullptr, nullptr, version, flags, nullptr};
    if (handle == RTLD_DEFAULT) {
        lookup.asking = caller_map(caller);
        lookup.scope = lookup.asking->l_scope;
        lookup.flags |= kLookupAddDependency;
    } else if (handle == RTLD_NEXT) {
        lookup.asking = lookup.skip = caller_map(caller);
        if (_dl_find_dso_for_object(reinterpret_cast<Elf64_Addr>(caller)) == nullptr)
            _dl_signal_error(0, nullptr, nullptr, "RTLD_NEXT used in code not dynamically loaded");
        LinkMap* first = lookup.asking;
        while (first->l_loader != nullptr) first = first->l_loader;
        lookup.scope = first->l_local_scope;
    } else {
        lookup.asking = static_cast<LinkMap*>(handle);
        lookup.scope = lookup.asking->l_local_scope;
    }

    lookup.flags |= kLookupHoldsScope;
    Exception exception;
    enter_scopes();
    const int error = _dl_catch_exception(&exception, look_up, &lookup);
    leave_scopes();
    if (exception.message != nullptr) _dl_signal_exception(error, &exception, nullptr);
    return lookup.symbol != nullptr ? symbol_address(*lookup.owner, *lookup.symbol) : nullptr;
}

// The System V hash, by which versions are compared (gABI, "Hash Table").
uint32_t version_hash(const char* name) {
    uint32_t hash = 0;
    for (; *name != '\0'; ++name) {
        hash = (hash << 4) + static_cast<unsigned char>(*name);
        hash ^= hash >> 24 & 0xf0;
        hash &= 0x0fffffff;
    }
    return hash;
}

}  // namespace

void* symbol_address(const LinkMap& owner, const Elf64_Sym& symbol) {
    if (ELF64_ST_TYPE(symbol.st_info) == STT_TLS) {
        const TlsIndex index = {owner.l_tls_modid, symbol.st_value};
        return __tls_get_addr(&index);
    }
    Elf64_Addr value = symbol.st_value;
    if (symbol.st_shndx != SHN_ABS) value += owner.l_addr;
    if (ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC)
        value = reinterpret_cast<Elf64_Addr (*)()>(value)();
    return reinterpret_cast<void*>(value);
}

extern "C" void* _dl_sym(void* handle, const char* name, const void* caller) {
    return find(handle, name, nullptr, kLookupReturnNewest, caller);
}

extern "C" void* _dl_vsym(void* handle, const char* name, const char* version, const void* caller) {
    const FoundVersion found = {version, version_hash(version), 1, nullptr};
    return find(handle, name, &found, 0, caller);
}

}  // namespace coracle::loader
