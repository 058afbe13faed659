/* SPDX-License-Identifier: MIT */
#include "mock_vp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bug.h"
#include "exit_x64.h"
#include "hvregs.h"

static int mock_run(void *ctx)
{
	struct mock_vp *m = ctx;

	m->runs++;
	if (__atomic_load_n(&m->run->cancel, __ATOMIC_SEQ_CST))
		return -EINTR;
	if (m->at == m->n_script) {
		if (!m->script_loops || !m->n_script)
			return -EINTR;
		m->at = 0;
	}
	m->run->exit = m->script[m->at++];
	if (m->page) {
		m->page->is_valid = m->page_valid;
		m->page->dirty = 0;
	}
	return 0;
}

union hv_regval *mock_reg(struct mock_vp *m, uint32_t name)
{
	for (unsigned int i = 0; i < m->n_regs; i++) {
		if (m->regs[i].name == name)
			return &m->regs[i].val;
	}
	BUG_ON(m->n_regs == MOCK_REGS);
	m->regs[m->n_regs].name = name;
	memset(&m->regs[m->n_regs].val, 0, sizeof(m->regs[0].val));
	return &m->regs[m->n_regs++].val;
}

bool mock_has_reg(const struct mock_vp *m, uint32_t name)
{
	for (unsigned int i = 0; i < m->n_regs; i++) {
		if (m->regs[i].name == name)
			return true;
	}
	return false;
}

static int mock_get_reg(void *ctx, uint32_t name, union hv_regval *ret_val)
{
	struct mock_vp *m = ctx;

	m->reg_gets++;
	*ret_val = *mock_reg(m, name);
	return 0;
}

static int mock_set_reg(void *ctx, uint32_t name, const union hv_regval *val)
{
	struct mock_vp *m = ctx;

	m->reg_sets++;
	*mock_reg(m, name) = *val;
	return 0;
}

static const struct vp_ops vp_mock_ops = {
	.run = mock_run,
	.get_reg = mock_get_reg,
	.set_reg = mock_set_reg,
};

static int mock_call(void *ctx, uint64_t control, const void *in, uint32_t in_len, void *ret_out,
		     uint32_t out_len, uint64_t *ret_result)
{
	struct mock_vp *m = ctx;
	struct mock_call *c = &m->calls[m->n_calls % MOCK_CALLS];

	m->n_calls++;
	c->control = control;
	c->in_len = MIN(in_len, (uint32_t)sizeof(c->in));
	memcpy(c->in, in, c->in_len);
	if (HV_CONTROL_CODE(control) == HVCALL_TRANSLATE_VIRTUAL_ADDRESS_EX &&
	    out_len == sizeof(struct hv_translate_ex_out)) {
		struct hv_translate_ex_out out = {
			.code = m->xlate_code,
			.event = m->xlate_event,
			.gpa_page = m->xlate_gpa_page,
		};

		memcpy(ret_out, &out, sizeof(out));
	}
	*ret_result = HV_RESULT_MAKE(m->call_status, HV_CONTROL_REP_COUNT(control));
	return 0;
}

static const struct hvc_ops hvc_mock_ops = { .call = mock_call };

static void on_eoi(void *ctx, uint8_t vector)
{
	struct mock_vp *m = ctx;

	m->eois++;
	m->last_eoi = vector;
}

static uint8_t on_ack(void *ctx)
{
	struct mock_vp *m = ctx;

	m->acks++;
	atomic_store(&m->v.extint, false);
	return 0x31;
}

static void on_crash(void *ctx, const struct vtl0_crash *c)
{
	struct mock_vp *m = ctx;

	m->crashes++;
	m->last_crash = *c;
}

static void on_triple_fault(void *ctx, vpidx_t vp)
{
	struct mock_vp *m = ctx;

	(void)vp;
	m->triple_faults++;
}

static void *page_alloc(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	BUG_ON(p == MAP_FAILED);
	return p;
}

void mock_vp_init(struct mock_vp *m)
{
	struct gmem_region region = { .gpa = 0, .len = MOCK_RAM_BYTES };
	struct loop *loop;
	int r;

	memset(m, 0, sizeof(*m));
	m->run = page_alloc(KEEL_PAGE_SIZE);
	m->page = page_alloc(KEEL_PAGE_SIZE);
	m->ram = page_alloc(MOCK_RAM_BYTES);
	region.host = m->ram;
	r = gmem_create(&region, 1, &m->gm);
	BUG_ON(r);
	r = bus_create(1, &m->bus);
	BUG_ON(r);
	hvc_init_mock(&m->hvc, &hvc_mock_ops, m);
	for (uint32_t i = 0; i < ARRAY_SIZE(m->apic_ids); i++)
		m->apic_ids[i] = i * 2;
	m->env = (struct vcpu_env){
		.bus = m->bus,
		.gm = m->gm,
		.hvc = &m->hvc,
		.apic_ids = m->apic_ids,
		.n_vps = ARRAY_SIZE(m->apic_ids),
		.ctx = m,
		.eoi = on_eoi,
		.extint_ack = on_ack,
		.crash = on_crash,
		.triple_fault = on_triple_fault,
	};
	r = loop_create(8, &loop);
	BUG_ON(r);
	r = vcpu_init(&m->v, &m->env, loop);
	BUG_ON(r);
	vp_init_mock(&m->v.vp, 0, m->run, m->page, &vp_mock_ops, m);
	m->page_valid = true;
	m->page->cr0 = 0x80000031;
	m->page->cr4 = 0x620;
	m->page->efer = 0xd01;
}

void mock_vp_fini(struct mock_vp *m)
{
	bus_destroy(m->bus);
	gmem_destroy(m->gm);
	loop_destroy(m->v.loop);
	vcpu_fini(&m->v);
	(void)munmap(m->run, KEEL_PAGE_SIZE);
	(void)munmap(m->page, KEEL_PAGE_SIZE);
	(void)munmap(m->ram, MOCK_RAM_BYTES);
}

void mock_exit(struct mock_vp *m, uint32_t type, const void *payload, uint8_t len)
{
	memset(&m->run->exit, 0, sizeof(m->run->exit));
	m->run->exit.type = type;
	m->run->exit.payload_size = len;
	memcpy(m->run->exit.payload, payload, len);
	m->page->is_valid = m->page_valid;
	m->page->dirty = 0;
	m->v.event_pending = false;
	exit_handle(&m->v);
}

struct hv_x64_header mock_header64(uint64_t rip, uint8_t ilen)
{
	return (struct hv_x64_header){
		.ilen_cr8 = ilen,
		.exec = HV_EXEC_PE | HV_EXEC_LMA,
		.cs = { .limit = 0xffffffff, .sel = 0x10, .attr = 0xa09b },
		.rip = rip,
		.rflags = 2,
	};
}
