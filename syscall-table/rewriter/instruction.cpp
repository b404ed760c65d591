#include "syscall-table/rewriter/instruction.h"

namespace coracle::rewriter {

namespace {

enum class Map : uint8_t { kOneByte, k0f, k0f38, k0f3a, kXop8, kXop9, kXopA, kUnknown };

// What follows the opcode.
struct Operands {
    bool valid = true;
    bool modrm = false;
    uint8_t immediate = 0;  // bytes
};

class Decoder {
  public:
    explicit Decoder(std::span<const uint8_t> bytes)
        : bytes_(bytes.first(bytes.size() < kMaxInstructionLength ? bytes.size()
                                                                  : kMaxInstructionLength)) {}

    Instruction decode() {
        read_prefixes();
        read_opcode();
        const Operands operands = map_ == Map::kOneByte ? one_byte_operands() : other_operands();
        Instruction instruction;
        if (overrun_ || !operands.valid) return instruction;
        instruction.has_segment = segment_;
        if (operands.modrm) {
            instruction.modrm_offset = static_cast<uint8_t>(position_);
            instruction.accesses_memory = read_modrm() && !is_address_only();
        }
        skip(operands.immediate);
        if (!overrun_) instruction.length = static_cast<uint8_t>(position_);
        return instruction;
    }

  private:
    uint8_t peek(size_t ahead = 0) {
        if (position_ + ahead >= bytes_.size()) {
            overrun_ = true;
            return 0;
        }
        return bytes_[position_ + ahead];
    }
    uint8_t next() {
        const uint8_t byte = peek();
        ++position_;
        return byte;
    }
    void skip(size_t count) {
        position_ += count;
        if (position_ > bytes_.size()) overrun_ = true;
    }

    void read_prefixes() {
        for (;; ++position_) {
            switch (peek()) {
                case 0x64:
                case 0x65:
                    segment_ = true;
                    break;
                case 0x66:
                    operand_16_ = true;
                    break;
                case 0x67:
                    address_32_ = true;
                    break;
                case 0x26:
                case 0x2e:
                case 0x36:
                case 0x3e:
                case 0xf0:
                case 0xf2:
                case 0xf3:
                    break;
                default:
                    if (!overrun_ && (peek() & 0xf0) == 0x40) {
                        rex_w_ = peek() & 8;
                        // A prefix behind it makes it void.
                        const uint8_t after = peek(1);
                        if (is_legacy_prefix(after)) {
                            rex_w_ = false;
                            break;
                        }
                        if ((after & 0xf0) == 0x40) break;
                        ++position_;
                    }
                    return;
            }
            if (overrun_) return;
        }
    }

    static bool is_legacy_prefix(uint8_t byte) {
        switch (byte) {
            case 0x26:
            case 0x2e:
            case 0x36:
            case 0x3e:
            case 0x64:
            case 0x65:
            case 0x66:
            case 0x67:
            case 0xf0:
            case 0xf2:
            case 0xf3:
                return true;
            default:
                return false;
        }
    }

    void read_opcode() {
        opcode_ = next();
        switch (opcode_) {
            case 0x0f:
                map_ = Map::k0f;
                opcode_ = next();
                if (opcode_ == 0x38 || opcode_ == 0x3a) {
                    map_ = opcode_ == 0x38 ? Map::k0f38 : Map::k0f3a;
                    opcode_ = next();
                }
                break;
            case 0xc5:  // VEX, two bytes
                skip(1);
                map_ = Map::k0f;
                vector_ = true;
                opcode_ = next();
                break;
            case 0xc4:  // VEX, three bytes
                map_ = map_of(next() & 0x1f);
                skip(1);
                vector_ = true;
                opcode_ = next();
                break;
            case 0x62:  // EVEX
                map_ = map_of(next() & 0x07);
                skip(2);
                vector_ = true;
                opcode_ = next();
                break;
            case 0x8f:  // XOP, or pop
                if ((peek() & 0x1f) >= 8) {
                    map_ = map_of(next() & 0x1f);
                    skip(1);
                    vector_ = true;
                    opcode_ = next();
                }
                break;
            default:
                break;
        }
    }

    static Map map_of(unsigned number) {
        switch (number) {
            case 1:
                return Map::k0f;
            case 2:
            case 5:
            case 6:
                return Map::k0f38;
            case 3:
                return Map::k0f3a;
            case 8:
                return Map::kXop8;
            case 9:
                return Map::kXop9;
            case 10:
                return Map::kXopA;
            default:
                return Map::kUnknown;
        }
    }

    uint8_t immediate_z() const { return operand_16_ && !rex_w_ ? 2 : 4; }
    uint8_t modrm_reg() { return peek() >> 3 & 7; }

    Operands one_byte_operands() {
        constexpr Operands kInvalid{false, false, 0};
        const uint8_t low = opcode_ & 0x0f;
        if (opcode_ < 0x40) {  // the eight arithmetic operations, and what was between them
            switch (opcode_ & 7) {
                case 4:
                    return {true, false, 1};
                case 5:
                    return {true, false, immediate_z()};
                case 6:
                case 7:
                    return kInvalid;  // segment pushes, decimal adjustments (prefixes are gone)
                default:
                    return {true, true, 0};
            }
        }
        switch (opcode_ >> 4) {
            case 0x4:
                return kInvalid;
            case 0x5:
                return {};
            case 0x6:
                switch (low) {
                    case 0x3:
                        return {true, true, 0};
                    case 0x8:
                        return {true, false, immediate_z()};
                    case 0x9:
                        return {true, true, immediate_z()};
                    case 0xa:
                        return {true, false, 1};
                    case 0xb:
                        return {true, true, 1};
                    case 0xc:
                    case 0xd:
                    case 0xe:
                    case 0xf:
                        return {};
                    default:
                        return kInvalid;
                }
            case 0x7:
                return {true, false, 1};
            case 0x8:
                if (opcode_ == 0x82) return kInvalid;
                if (opcode_ == 0x81) return {true, true, immediate_z()};
                return {true, true, static_cast<uint8_t>(opcode_ <= 0x83 ? 1 : 0)};
            case 0x9:
                return opcode_ == 0x9a ? kInvalid : Operands{};
            case 0xa:
                if (low <= 3) return {true, false, static_cast<uint8_t>(address_32_ ? 4 : 8)};
                if (low == 8) return {true, false, 1};
                if (low == 9) return {true, false, immediate_z()};
                return {};
            case 0xb:
                if (low < 8) return {true, false, 1};
                return {true, false, rex_w_ ? uint8_t{8} : immediate_z()};
            case 0xc:
                switch (low) {
                    case 0x0:
                    case 0x1:
                    case 0x6:
                        return {true, true, 1};
                    case 0x2:
                    case 0xa:
                        return {true, false, 2};
                    case 0x7:
                        return {true, true, immediate_z()};
                    case 0x8:
                        return {true, false, 3};
                    case 0xd:
                        return {true, false, 1};
                    case 0xe:
                        return kInvalid;
                    default:
                        return {};
                }
            case 0xd:
                if (low <= 3 || low >= 8) return {true, true, 0};
                return low == 7 ? Operands{} : kInvalid;
            case 0xe:
                if (low <= 7 || low == 0xb) return {true, false, 1};
                if (low == 8 || low == 9) return {true, false, 4};
                return low == 0xa ? kInvalid : Operands{};
            default:
                if (low == 6) return {true, true, static_cast<uint8_t>(modrm_reg() < 2 ? 1 : 0)};
                if (low == 7) return {true, true, modrm_reg() < 2 ? immediate_z() : uint8_t{0}};
                return {true, low >= 0xe, 0};
        }
    }

    Operands other_operands() {
        switch (map_) {
            case Map::k0f:
                return second_map_operands();
            case Map::k0f38:
            case Map::kXop9:
                return {true, true, 0};
            case Map::k0f3a:
            case Map::kXop8:
                return {true, true, 1};
            case Map::kXopA:
                return {true, true, 4};
            default:
                return {false, false, 0};
        }
    }

    Operands second_map_operands() {
        if (opcode_ >= 0x80 && opcode_ <= 0x8f && !vector_) return {true, false, 4};
        switch (opcode_) {
            case 0x05:
            case 0x06:
            case 0x07:
            case 0x08:
            case 0x09:
            case 0x0b:
            case 0x0e:
            case 0x30:
            case 0x31:
            case 0x32:
            case 0x33:
            case 0x34:
            case 0x35:
            case 0x37:
            case 0x77:
            case 0xa0:
            case 0xa1:
            case 0xa2:
            case 0xa8:
            case 0xa9:
            case 0xaa:
            case 0xc8:
            case 0xc9:
            case 0xca:
            case 0xcb:
            case 0xcc:
            case 0xcd:
            case 0xce:
            case 0xcf:
                return {true, false, 0};
            case 0x0f:  // 3DNow!: the operation is behind the operands
            case 0x70:
            case 0x71:
            case 0x72:
            case 0x73:
            case 0xa4:
            case 0xac:
            case 0xba:
            case 0xc2:
            case 0xc4:
            case 0xc5:
            case 0xc6:
                return {true, true, 1};
            default:
                return {true, true, 0};
        }
    }

    // Skips ModRM, SIB and displacement; tells whether the operand is in memory.
    bool read_modrm() {
        const uint8_t modrm = next();
        const uint8_t mode = modrm >> 6, rm = modrm & 7;
        if (mode == 3 || is_control_register_move()) return false;
        uint8_t base = rm;
        if (rm == 4) base = next() & 7;
        if (mode == 1) skip(1);
        if (mode == 2 || (mode == 0 && base == 5)) skip(4);
        return true;
    }

    bool is_control_register_move() const {
        return map_ == Map::k0f && !vector_ && opcode_ >= 0x20 && opcode_ <= 0x23;
    }

    // lea, and the multi-byte nops and hints (0f 0d, 0f 18 to 0f 1f).
    bool is_address_only() const {
        if (map_ == Map::kOneByte) return opcode_ == 0x8d;
        return map_ == Map::k0f && !vector_ &&
               (opcode_ == 0x0d || (opcode_ >= 0x18 && opcode_ <= 0x1f));
    }

    std::span<const uint8_t> bytes_;
    size_t position_ = 0;
    uint8_t opcode_ = 0;
    Map map_ = Map::kOneByte;
    bool overrun_ = false;
    bool segment_ = false;
    bool operand_16_ = false;
    bool address_32_ = false;
    bool rex_w_ = false;
    bool vector_ = false;
};

}  // namespace

Instruction decode_instruction(std::span<const uint8_t> bytes) {
    return Decoder(bytes).decode();
}

}  // namespace coracle::rewriter
