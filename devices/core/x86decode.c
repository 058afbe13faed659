/* SPDX-License-Identifier: MIT */
/*
 * Instruction decoding for the emulator; see the header. Input: instruction bytes of a hostile
 * guest; no state.
 */
#include "x86decode.h"

#include "hvmsg.h"
#include "le.h"
#include "macros.h"

#include <Zydis/Zydis.h>

struct prefixes {
	uint8_t n; /* prefix bytes */
	uint8_t pfx; /* X86_PFX_* */
	uint8_t rex; /* 0 or the REX byte that counts */
	uint8_t seg; /* X86_REG_NONE or enum hv_seg_index */
	bool asz;
};

/* ModRM, SIB and displacement as they stand in the instruction. */
struct raw_ea {
	uint8_t modrm;
	uint8_t sib;
	int64_t disp;
};

#define REX_W(rex) ((rex) & 8u)
#define REX_R(rex) (((rex) & 4u) << 1)
#define REX_X(rex) (((rex) & 2u) << 2)
#define REX_B(rex) (((rex) & 1u) << 3)

/* Takes one prefix byte. In 64-bit code the ES, CS, SS and DS overrides mean nothing. */
static bool take_prefix(enum x86_code code, uint8_t b, struct prefixes *p)
{
	bool legacy = code != X86_CODE_64;

	switch (b) {
	case 0x26:
		p->seg = legacy ? HV_SEG_ES : p->seg;
		return true;
	case 0x2e:
		p->seg = legacy ? HV_SEG_CS : p->seg;
		return true;
	case 0x36:
		p->seg = legacy ? HV_SEG_SS : p->seg;
		return true;
	case 0x3e:
		p->seg = legacy ? HV_SEG_DS : p->seg;
		return true;
	case 0x64:
		p->seg = HV_SEG_FS;
		return true;
	case 0x65:
		p->seg = HV_SEG_GS;
		return true;
	case 0x66:
		p->pfx |= X86_PFX_OPSZ;
		return true;
	case 0x67:
		p->asz = true;
		return true;
	case 0xf0:
		p->pfx |= X86_PFX_LOCK;
		return true;
	case 0xf2:
		p->pfx = (uint8_t)((p->pfx & ~X86_PFX_REP) | X86_PFX_REPNE);
		return true;
	case 0xf3:
		p->pfx = (uint8_t)((p->pfx & ~X86_PFX_REPNE) | X86_PFX_REP);
		return true;
	default:
		return false;
	}
}

/* A REX byte counts only directly before the opcode: any other prefix after it cancels it. */
static void scan_prefixes(enum x86_code code, const uint8_t *bytes, size_t n, struct prefixes *ret)
{
	*ret = (struct prefixes){ .seg = X86_REG_NONE };
	for (; ret->n < n; ret->n++) {
		uint8_t b = bytes[ret->n];

		if (code == X86_CODE_64 && (b & 0xf0) == 0x40)
			ret->rex = b;
		else if (take_prefix(code, b, ret))
			ret->rex = 0;
		else
			break;
	}
	if (ret->rex)
		ret->pfx |= X86_PFX_REX;
}

static void set_sizes(enum x86_code code, const struct prefixes *p, struct x86_insn *in)
{
	bool opsz = p->pfx & X86_PFX_OPSZ;

	in->pfx = p->pfx;
	switch (code) {
	case X86_CODE_64:
		in->osize = REX_W(p->rex) ? 8 : opsz ? 2 : 4;
		in->asize = p->asz ? 4 : 8;
		break;
	case X86_CODE_32:
		in->osize = opsz ? 2 : 4;
		in->asize = p->asz ? 2 : 4;
		break;
	case X86_CODE_16:
	case X86_CODE_REAL16:
		in->osize = opsz ? 4 : 2;
		in->asize = p->asz ? 4 : 2;
		break;
	}
}

static void set_ea16(const struct raw_ea *raw, struct x86_insn *in)
{
	static const struct {
		uint8_t base, index;
	} form[8] = {
		{ 3, 6 }, { 3, 7 }, { 5, 6 }, { 5, 7 }, { 6, X86_REG_NONE },
		{ 7, X86_REG_NONE }, { 5, X86_REG_NONE }, { 3, X86_REG_NONE },
	};
	uint8_t rm = raw->modrm & 7;

	if (rm == 6 && in->mod == 0)
		return;
	in->base = form[rm].base;
	in->index = form[rm].index;
}

static void set_ea_sib(const struct raw_ea *raw, uint8_t rex, struct x86_insn *in)
{
	uint8_t index = (uint8_t)((raw->sib >> 3 & 7) | REX_X(rex));
	uint8_t base = raw->sib & 7;

	in->scale = raw->sib >> 6;
	if (index != 4)
		in->index = index;
	if (base != 5 || in->mod != 0)
		in->base = (uint8_t)(base | REX_B(rex));
}

/* Fills mod, reg, rm and the address form; seg gets its default before any override. */
static void set_modrm(enum x86_code code, const struct raw_ea *raw, uint8_t rex,
		      struct x86_insn *in)
{
	in->has_modrm = true;
	in->mod = raw->modrm >> 6;
	in->reg = (uint8_t)((raw->modrm >> 3 & 7) | REX_R(rex));
	in->rm = (uint8_t)((raw->modrm & 7) | REX_B(rex));
	if (in->mod == 3)
		return;
	in->disp = (uint64_t)raw->disp;
	if (in->asize == 2)
		set_ea16(raw, in);
	else if ((raw->modrm & 7) == 4)
		set_ea_sib(raw, rex, in);
	else if ((raw->modrm & 7) != 5 || in->mod != 0)
		in->base = in->rm;
	else if (code == X86_CODE_64)
		in->base = X86_REG_RIP;
	if (in->base == 4 || in->base == 5)
		in->seg = HV_SEG_SS;
}

static void insn_init(enum x86_code code, const struct prefixes *p, uint8_t opcode,
		      struct x86_insn *in)
{
	*in = (struct x86_insn){
		.opcode = opcode,
		.opreg = (uint8_t)((opcode & 7) | REX_B(p->rex)),
		.seg = HV_SEG_DS,
		.base = X86_REG_NONE,
		.index = X86_REG_NONE,
	};
	set_sizes(code, p, in);
}

/* Length of ModRM, SIB and displacement with 32- or 64-bit addressing; 0 = cut off. */
static size_t ea_length(const uint8_t *b, size_t n)
{
	size_t len = 1, disp = 0;

	if (n < 1)
		return 0;
	if (b[0] >> 6 == 3)
		return 1;
	if (b[0] >> 6 == 1)
		disp = 1;
	else if (b[0] >> 6 == 2 || (b[0] & 7) == 5)
		disp = 4;
	if ((b[0] & 7) == 4) {
		len = 2;
		if (n < 2)
			return 0;
		if (b[0] >> 6 == 0 && (b[1] & 7) == 5)
			disp = 4;
	}
	return n < len + disp ? 0 : len + disp;
}

static void ea_load(const uint8_t *b, size_t len, struct raw_ea *ret)
{
	size_t disp_at = (b[0] & 7) == 4 && b[0] >> 6 != 3 ? 2 : 1;

	*ret = (struct raw_ea){ .modrm = b[0], .sib = disp_at == 2 ? b[1] : 0 };
	if (len - disp_at == 1)
		ret->disp = (int8_t)b[disp_at];
	else if (len - disp_at == 4)
		ret->disp = (int32_t)le32_load(b + disp_at);
}

static bool mov64_has_modrm(uint8_t map, uint8_t op)
{
	if (map == X86_MAP_0F)
		return op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf;
	return (op >= 0x88 && op <= 0x8b) || op == 0xc6 || op == 0xc7 || op == 0x63;
}

/* C6 and C7: only /0 is MOV; the immediate is at most four bytes. */
static bool mov64_imm(const uint8_t *b, size_t n, size_t *io_pos, struct x86_insn *in)
{
	size_t size = in->opcode == 0xc6 ? 1 : MIN(in->osize, 4);

	if ((in->reg & 7) != 0 || n - *io_pos < size)
		return false;
	b += *io_pos;
	if (size == 1)
		in->imm = (uint64_t)(int8_t)b[0];
	else if (size == 2)
		in->imm = (uint64_t)(int16_t)le16_load(b);
	else
		in->imm = (uint64_t)(int32_t)le32_load(b);
	*io_pos += size;
	return true;
}

bool x86_decode_mov64(const uint8_t *bytes, size_t n, struct x86_insn *ret)
{
	struct prefixes p;
	struct raw_ea ea;
	uint8_t map = X86_MAP_1B;
	size_t pos, len;

	scan_prefixes(X86_CODE_64, bytes, n, &p);
	pos = p.n;
	if ((p.pfx & (X86_PFX_LOCK | X86_PFX_REP | X86_PFX_REPNE)) || p.asz || n - pos < 2)
		return false;
	if (bytes[pos] == 0x0f) {
		map = X86_MAP_0F;
		pos++;
	}
	insn_init(X86_CODE_64, &p, bytes[pos], ret);
	ret->map = map;
	pos++;
	if (mov64_has_modrm(map, ret->opcode)) {
		len = ea_length(bytes + pos, n - pos);
		if (len == 0)
			return false;
		ea_load(bytes + pos, len, &ea);
		set_modrm(X86_CODE_64, &ea, p.rex, ret);
		pos += len;
		if ((ret->opcode == 0xc6 || ret->opcode == 0xc7) && !mov64_imm(bytes, n, &pos, ret))
			return false;
	} else if (map == X86_MAP_1B && (ret->opcode & 0xfc) == 0xa0 && n - pos >= 8) {
		ret->disp = le64_load(bytes + pos);
		pos += 8;
	} else {
		return false;
	}
	if (p.seg != X86_REG_NONE)
		ret->seg = p.seg;
	ret->len = (uint8_t)pos;
	return true;
}

static void zydis_init(enum x86_code code, ZydisDecoder *ret)
{
	static const struct {
		ZydisMachineMode mode;
		ZydisStackWidth stack;
	} par[] = {
		[X86_CODE_REAL16] = { ZYDIS_MACHINE_MODE_REAL_16, ZYDIS_STACK_WIDTH_16 },
		[X86_CODE_16] = { ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		[X86_CODE_32] = { ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		[X86_CODE_64] = { ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};

	(void)ZydisDecoderInit(ret, par[code].mode, par[code].stack);
	(void)ZydisDecoderEnableMode(ret, ZYDIS_DECODER_MODE_MINIMAL, ZYAN_TRUE);
}

static enum x86_decode_result zydis_result(ZyanStatus st)
{
	if (ZYAN_SUCCESS(st))
		return X86_DECODE_OK;
	if (st == ZYDIS_STATUS_NO_MORE_DATA)
		return X86_DECODE_MORE;
	if (st == ZYDIS_STATUS_INSTRUCTION_TOO_LONG)
		return X86_DECODE_TOO_LONG;
	return X86_DECODE_INVALID;
}

static int64_t sign_extend(uint64_t v, unsigned int bits)
{
	return bits == 0 || bits >= 64 ? (int64_t)v : (int64_t)(v << (64 - bits)) >> (64 - bits);
}

enum x86_decode_result x86_decode(enum x86_code code, const uint8_t *bytes, size_t n,
				  struct x86_insn *ret)
{
	enum x86_decode_result r;
	ZydisDecodedInstruction z;
	ZydisDecoder dec;
	struct prefixes p;
	struct x86_insn in;
	struct raw_ea ea;

	if (n == 0)
		return X86_DECODE_MORE;
	zydis_init(code, &dec);
	r = zydis_result(ZydisDecoderDecodeInstruction(&dec, NULL, bytes, n, &z));
	if (r != X86_DECODE_OK)
		return r;
	if (z.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return X86_DECODE_OTHER;

	scan_prefixes(code, bytes, n, &p);
	insn_init(code, &p, z.opcode, &in);
	in.len = z.length;
	switch (z.opcode_map) {
	case ZYDIS_OPCODE_MAP_DEFAULT:
		in.map = X86_MAP_1B;
		break;
	case ZYDIS_OPCODE_MAP_0F:
		in.map = X86_MAP_0F;
		break;
	case ZYDIS_OPCODE_MAP_0F38:
		in.map = X86_MAP_0F38;
		break;
	default:
		return X86_DECODE_OTHER;
	}
	if (z.raw.modrm.offset) {
		ea.modrm = (uint8_t)(z.raw.modrm.mod << 6 | z.raw.modrm.reg << 3 | z.raw.modrm.rm);
		ea.sib = (uint8_t)(z.raw.sib.scale << 6 | z.raw.sib.index << 3 | z.raw.sib.base);
		ea.disp = z.raw.disp.size ? z.raw.disp.value : 0;
		set_modrm(code, &ea, p.rex, &in);
	} else {
		in.disp = (uint64_t)z.raw.disp.value;
	}
	if (p.seg != X86_REG_NONE)
		in.seg = p.seg;
	in.imm = (uint64_t)sign_extend(z.raw.imm[0].value.u, z.raw.imm[0].size);
	*ret = in;
	return X86_DECODE_OK;
}
