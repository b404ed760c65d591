// Makes the libc image from what the linker made: gives it its dynamic symbol table, compact
// relocations, the tables of elf-loader/image.h, and calls in place of `syscall` instructions.
//
// Beside LINKED the linker's map file is expected, LINKED.map.
//
//   libc-patcher LINKED IMAGE ALIASES ABSENT LIBRARY...
//
// ALIASES is read: old names for what the image has (legacy/aliases.txt). ABSENT is written: the
// symbols of the libraries that the image does not define, one `name version` a line.
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <iterator>

#include "libposix/libc/patcher/code_map.h"
#include "libposix/libc/patcher/dynamic_tables.h"
#include "libposix/libc/patcher/exports.h"
#include "libposix/libc/patcher/image_writer.h"
#include "libposix/libc/patcher/references.h"
#include "libposix/libc/patcher/syscall_sites.h"

namespace coracle::patcher {
namespace {

const Symbol& find_symbol(const std::vector<Symbol>& symbols, std::string_view name) {
    for (const Symbol& symbol : symbols)
        if (symbol.name == name && symbol.section != SHN_UNDEF) return symbol;
    throw Error(std::string(name) + " is not defined");
}

std::vector<LibrarySymbol> read_libraries(const std::vector<std::string>& paths) {
    std::vector<LibrarySymbol> symbols;
    for (const std::string& path : paths)
        std::ranges::copy(read_library_symbols(path), std::back_inserter(symbols));
    return symbols;
}

void write_absent(const Exports& exports, const std::string& path) {
    std::vector<std::string> lines;
    for (const LibrarySymbol* symbol : exports.absent())
        lines.push_back(symbol->name + ' ' + symbol->version +
                        (symbol->is_default ? " default" : ""));
    std::ranges::sort(lines);
    std::ofstream file(path);
    for (const std::string& line : lines) file << line << '\n';
    if (!file.flush()) throw Error(path + ": cannot be written");
}

struct Relocations {
    std::vector<Relocation> relative;
    std::vector<Relocation> resolvers;  // R_X86_64_IRELATIVE
};

Relocations read_dynamic_relocations(const ElfImage& image) {
    Relocations result;
    for (const char* name : {".rela.dyn", ".rela.plt"}) {
        const Elf64_Shdr* section = image.find_section(name);
        if (section == nullptr) continue;
        for (const Relocation& relocation : image.read_relocations(*section)) {
            if (relocation.type == R_X86_64_RELATIVE)
                result.relative.push_back(relocation);
            else if (relocation.type == R_X86_64_IRELATIVE)
                result.resolvers.push_back(relocation);
            else if (relocation.type != R_X86_64_NONE)
                throw Error("a dynamic relocation of type " + std::to_string(relocation.type));
        }
    }
    return result;
}

// Places that hold addresses in the image, for DT_RELR: the addends move into the places.
class RelativePlaces {
  public:
    RelativePlaces(ElfImage& image, const std::vector<Relocation>& relocations) : image_(image) {
        for (const Relocation& relocation : relocations)
            add(relocation.place, static_cast<uint64_t>(relocation.addend));
    }
    void add(uint64_t place, uint64_t address) {
        image_.write(place, address);
        places_.push_back(place);
    }
    std::vector<uint64_t> encode() {
        std::ranges::sort(places_);
        return encode_relr(places_);
    }

  private:
    ElfImage& image_;
    std::vector<uint64_t> places_;
};

void add_symbols(ImageWriter& writer, const DynamicTables& tables) {
    writer.set_dynamic(DT_SONAME, tables.soname);
    writer.set_dynamic(DT_SYMTAB, writer.add_table(tables.symbols));
    writer.set_dynamic(DT_SYMENT, sizeof(Elf64_Sym));
    writer.set_dynamic(DT_STRTAB, writer.add_table(tables.strings));
    writer.set_dynamic(DT_STRSZ, tables.strings.size());
    writer.set_dynamic(DT_GNU_HASH, writer.add_table(tables.hash));
    writer.set_dynamic(DT_VERSYM, writer.add_table(tables.versions));
    writer.set_dynamic(DT_VERDEF, writer.add_table(tables.version_definitions));
    writer.set_dynamic(DT_VERDEFNUM, tables.version_definition_count);
}

void add_relocations(ImageWriter& writer, const std::vector<Relocation>& relocations,
                     const std::vector<uint64_t>& relr) {
    std::vector<Elf64_Rela> rela;
    rela.reserve(relocations.size());
    for (const Relocation& relocation : relocations)
        rela.push_back({relocation.place, ELF64_R_INFO(0UL, relocation.type), relocation.addend});
    writer.set_dynamic(DT_RELA, writer.add_table(rela));
    writer.set_dynamic(DT_RELASZ, rela.size() * sizeof(Elf64_Rela));
    writer.set_dynamic(DT_RELAENT, sizeof(Elf64_Rela));
    writer.set_dynamic(DT_RELR, writer.add_table(relr));
    writer.set_dynamic(DT_RELRSZ, relr.size() * sizeof(uint64_t));
    writer.set_dynamic(DT_RELRENT, sizeof(uint64_t));
    for (const int64_t tag : {DT_RELACOUNT, DT_JMPREL, DT_PLTREL, DT_PLTRELSZ, DT_PLTGOT})
        writer.remove_dynamic(tag);
    writer.set_dynamic(DT_FLAGS, DF_BIND_NOW | DF_STATIC_TLS);
    writer.set_dynamic(DT_FLAGS_1, DF_1_NOW | DF_1_NODELETE);
}

Area find_area(const std::vector<Symbol>& symbols, std::string_view name) {
    const Symbol& symbol = find_symbol(symbols, name);
    return {symbol.value, symbol.value + symbol.size};
}

// Patches the image's system calls and tells its start of the slots that they use.
void patch_calls(ElfImage& image, const CodeMap& code, const ObjectRanges& objects,
                 const std::vector<Symbol>& symbols, const std::set<uint64_t>& pinned,
                 RelativePlaces& relative, ImageWriter& writer) {
    // clone's child and vfork's parent return on a stack without the return address that a call
    // would have pushed; debuggers and unwinders know rt_sigreturn's frame by its instructions.
    std::vector<Symbol> kept;
    for (const char* name : {"__clone", "__clone3", "__vfork", "__restore_rt", "host_syscall",
                             "unrelocated_system_call"})
        kept.push_back(find_symbol(symbols, name));
    const SyscallAreas areas{find_area(symbols, "coracle_called_stubs"),
                             find_area(symbols, "coracle_saving_stubs"),
                             find_area(symbols, "coracle_saving_more_stubs"),
                             find_area(symbols, "coracle_jumped_stubs"),
                             find_area(symbols, "coracle_call_slots"),
                             find_symbol(symbols, "coracle_syscall_entry").value};
    const CallProof proof(
        code, objects,
        {{find_symbol(symbols, "__stack_chk_fail").value, 0},
         {find_symbol(symbols, "abort").value, 0},
         {find_symbol(symbols, "__libc_fatal").value, kRdi},
         {find_symbol(symbols, "__assert_fail").value, kRdi | kRsi | kRdx},
         {find_symbol(symbols, "__pthread_disable_asynccancel").value, kRdi}});
    const SyscallReport report = patch_syscalls(image, code, proof, areas, kept, pinned);
    for (const std::string& site : report.unknown)
        std::cerr << "libc-patcher: the system call in " << site << " has an unknown shape\n";
    if (!report.unknown.empty()) throw Error("not all system calls were patched");
    std::cout << report.c_calls << " system calls as C calls, " << report.entry_calls
              << " through the entry, " << report.kept << " kept; " << report.stub_bytes
              << " bytes of stubs\n";
    for (size_t i = 0; i < report.slot_stubs.size(); ++i)
        relative.add(areas.slots.start + 8 * i, report.slot_stubs[i]);
    const Symbol& table = find_symbol(symbols, "coracle_call_table");
    relative.add(table.value, writer.add_table(report.slot_numbers));
    image.write(table.value + 8, uint64_t{report.slot_numbers.size()});
}

// `index` counts the 8-byte fields of image::Tables.
void set_loader_table(const Symbol& tables, size_t index, uint64_t table, uint64_t count,
                      ElfImage& image, RelativePlaces& relative) {
    relative.add(tables.value + 8 * index, table);
    image.write(tables.value + 8 * (index + 1), count);
}

void make_image(const std::string& linked, const std::string& output, const std::string& aliases,
                const std::string& absent, const std::vector<std::string>& libraries) {
    ElfImage image(linked);
    const auto symbols = image.read_symbols(".symtab");
    const Symbol& slots = find_symbol(symbols, "coracle_tls_slots");
    const auto tls = restore_tls_loads(image, slots.value, slots.value + slots.size);
    const ElfImage unpatched = image;
    const CodeMap code(unpatched, symbols);
    const Exports exports(read_libraries(libraries), symbols, read_aliases(aliases));
    const Relocations dynamic = read_dynamic_relocations(image);
    RelativePlaces relative(image, dynamic.relative);
    const auto variables =
        find_variable_references(image, code, symbols, exports.found(), dynamic.relative);

    ImageWriter writer(image);
    std::set<uint64_t> pinned(tls.places.begin(), tls.places.end());
    for (const image::VariableReference& variable : variables) pinned.insert(variable.place);
    patch_calls(image, code, ObjectRanges(linked + ".map"), symbols, pinned, relative, writer);
    const Symbol& tables = find_symbol(symbols, "coracle_image_tables");
    static_assert(offsetof(image::Tables, variable_references) == 0);
    static_assert(offsetof(image::Tables, tls_places) == 32);
    set_loader_table(tables, 0, writer.add_table(variables), variables.size(), image, relative);
    set_loader_table(tables, 4, writer.add_table(tls.places), tls.places.size(), image, relative);
    add_symbols(writer, make_dynamic_tables(exports.found(), "libc.so.6"));
    auto relocations = tls.relocations;
    std::ranges::copy(dynamic.resolvers, std::back_inserter(relocations));
    add_relocations(writer, relocations, relative.encode());
    writer.write(output);
    ::chmod(output.c_str(), 0755);
    write_absent(exports, absent);
}

}  // namespace
}  // namespace coracle::patcher

int main(int argc, char** argv) {
    if (argc < 6) {
        std::cerr << "usage: libc-patcher LINKED IMAGE ALIASES ABSENT LIBRARY...\n";
        return 2;
    }
    try {
        coracle::patcher::make_image(argv[1], argv[2], argv[3], argv[4], {argv + 5, argv + argc});
    } catch (const std::exception& error) {
        std::cerr << "libc-patcher: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
