/* SPDX-License-Identifier: MIT */
#include "opts.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ckd.h"

static const char help_text[] =
	"usage: hvhost run --image FILE [options]\n"
	"       hvhost control PATH VERB [ARGUMENTS]\n"
	"       hvhost probe\n"
	"\n"
	"Run an IGVM image with a paravisor in VTL2 and its guest in VTL0, on this machine's KVM or,\n"
	"where that cannot run guests, inside an outer VM under QEMU emulation. The terminal is VTL0's\n"
	"COM1 (Ctrl-A x ends the run, Ctrl-A Ctrl-A sends Ctrl-A).\n"
	"\n"
	"  --image FILE         IGVM image to boot\n"
	"  --vps N              virtual processors (default 2)\n"
	"  --memory SIZE        VTL0 memory, e.g. 512M or 2G (default 512M); VTL2's comes on top\n"
	"  --vtl2-cmdline TEXT  host text for VTL2's kernel command line\n"
	"  --disk FILE[,OPT...] a disk for the guest, kept in FILE (a raw image or block device) or in\n"
	"                       ram:SIZE; may be repeated. VTL2 gets it as an NVMe namespace and gives\n"
	"                       it to the guest in the order of the options, the first as LUN 0. OPT:\n"
	"                         as=scsi|nvme|ide  what the guest sees (default scsi)\n"
	"                         ro                it cannot be written\n"
	"                         dvd               a DVD drive with this medium (scsi and ide)\n"
	"                         id=NAME           its name in messages and for control (default\n"
	"                                           disk0, disk1, ...)\n"
	"                         on=N              on VTL2's NVMe controller N, with other disks\n"
	"                                           (default: a controller of its own)\n"
	"                         size=SIZE         only so much of it is shown, until disk-resize\n"
	"                         later             not there at first, until disk-add\n"
	"                       A comma in FILE is written twice. Writes go to FILE: work on a copy to\n"
	"                       keep the original. What the guest has flushed survives the end of\n"
	"                       hvhost, however that comes.\n"
	"  --exec SCRIPT        run SCRIPT as root in the guest through its exec agent on COM2, print\n"
	"                       its output, power off, exit with its status\n"
	"  --stream             print the script's output as it comes, instead of keeping the first 64 KiB\n"
	"                       for a fault of the emulator, after which the run is repeated\n"
	"  --until-power-off    do not read the terminal; end when the guest powers off\n"
	"  --no-reboot          end when the guest asks for a restart\n"
	"  --no-exec-agent      leave COM2 unconnected\n"
	"  --vtl2-console       show VTL2's console on stderr\n"
	"  --vtl2-vsock PATH    Unix socket at which VTL2's vsock listeners are reached (hybrid vsock:\n"
	"                       connect, send \"CONNECT <port>\\n\")\n"
	"  --control PATH       Unix socket at which the run takes requests of hvhost control: disks that\n"
	"                       come, go, change and fail (the verb help lists them)\n"
	"  --scenario FILE      do what FILE says while the guest runs: wait for what it prints, requests\n"
	"                       as above (tests/hvhost/README.md)\n"
	"  --core-dir DIR       where crash dumps of VTL2 and its last words are put (default: the\n"
	"                       current folder)\n"
	"  --log FILE           write the log there (default: none)\n"
	"  --record FILE        write everything the host receives from VTL2 there (record.h)\n"
	"  --vtl2-log FILE      write the paravisor's log there, a record per line, as it comes (- for\n"
	"                       stderr)\n"
	"  --vtl2-log-json      its records as JSON, just as they came\n"
	"  --timeout S          give up after S seconds (exit status 124)\n"
	"  --host kvm|tcg|auto  where to run (default auto: KVM when it really runs 64-bit guests)\n"
	"  --outer DIR          outer VM: vmlinuz and initramfs.cpio (needed for tcg)\n"
	"  --faithful           MMIO intercepts carry the guest's real instruction bytes\n"
	"  --isolation KIND     none or vbs: what the VM is isolated by, whatever the image says (vbs:\n"
	"                       its memory is private from this host unless VTL2 shares it)\n"
	"  --summary            print boot phases and exit counts at the end (stderr)\n"
	"\n"
	"Exit status: the script's (--exec); 0 after a power-off; 123 VTL2 crashed; 124 timeout; 125\n"
	"hvhost or the paravisor failed; 126 the emulator failed; 2 wrong usage.\n";

static int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret_val)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || end == text || *end || *text == '-' || v < min || v > max)
		return -EINVAL;
	*ret_val = (uint32_t)v;
	return 0;
}

int opts_parse_size(const char *text, uint64_t *ret_bytes)
{
	char *end;
	uint64_t v, shift = 0;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return -EINVAL;
	if (*end) {
		const char *unit = strchr("KMGT", *end & ~0x20);

		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (uint64_t)(unit - "KMGT" + 1);
	}
	if (shift && v > (UINT64_MAX >> shift))
		return -EINVAL;
	*ret_bytes = v << shift;
	return 0;
}

static int parse_host(const char *text, enum host_mode *ret_mode)
{
	static const char *const names[] = { "auto", "kvm", "tcg" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret_mode = (enum host_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_isolation(const char *text, enum session_isolation *ret_iso)
{
	if (strcmp(text, "none") && strcmp(text, "vbs"))
		return -EINVAL;
	*ret_iso = strcmp(text, "vbs") ? SESSION_ISO_NONE : SESSION_ISO_VBS;
	return 0;
}

enum {
	O_IMAGE = 1,
	O_VPS,
	O_MEMORY,
	O_CMDLINE,
	O_DISK,
	O_EXEC,
	O_STREAM,
	O_UNTIL_OFF,
	O_NO_REBOOT,
	O_NO_COM2,
	O_CONSOLE,
	O_VSOCK,
	O_CONTROL,
	O_SCENARIO,
	O_CORE_DIR,
	O_LOG,
	O_VTL2_LOG,
	O_VTL2_LOG_JSON,
	O_RECORD,
	O_TIMEOUT,
	O_HOST,
	O_OUTER,
	O_FAITHFUL,
	O_ISOLATION,
	O_SUMMARY,
	O_HELP,
};

static const struct option long_opts[] = {
	{ "image", required_argument, NULL, O_IMAGE },
	{ "vps", required_argument, NULL, O_VPS },
	{ "memory", required_argument, NULL, O_MEMORY },
	{ "vtl2-cmdline", required_argument, NULL, O_CMDLINE },
	{ "disk", required_argument, NULL, O_DISK },
	{ "exec", required_argument, NULL, O_EXEC },
	{ "stream", no_argument, NULL, O_STREAM },
	{ "until-power-off", no_argument, NULL, O_UNTIL_OFF },
	{ "no-reboot", no_argument, NULL, O_NO_REBOOT },
	{ "no-exec-agent", no_argument, NULL, O_NO_COM2 },
	{ "vtl2-console", no_argument, NULL, O_CONSOLE },
	{ "vtl2-vsock", required_argument, NULL, O_VSOCK },
	{ "control", required_argument, NULL, O_CONTROL },
	{ "scenario", required_argument, NULL, O_SCENARIO },
	{ "core-dir", required_argument, NULL, O_CORE_DIR },
	{ "log", required_argument, NULL, O_LOG },
	{ "vtl2-log", required_argument, NULL, O_VTL2_LOG },
	{ "vtl2-log-json", no_argument, NULL, O_VTL2_LOG_JSON },
	{ "record", required_argument, NULL, O_RECORD },
	{ "timeout", required_argument, NULL, O_TIMEOUT },
	{ "host", required_argument, NULL, O_HOST },
	{ "outer", required_argument, NULL, O_OUTER },
	{ "faithful", no_argument, NULL, O_FAITHFUL },
	{ "isolation", required_argument, NULL, O_ISOLATION },
	{ "summary", no_argument, NULL, O_SUMMARY },
	{ "help", no_argument, NULL, O_HELP },
	{ NULL, 0, NULL, 0 },
};

/* VTL0 gets whole 2 MiB pages; below 64 MiB no Linux boots, above 1 TiB no test machine has it. */
static int parse_memory(const char *text, uint64_t *ret_bytes)
{
	uint64_t v;

	if (opts_parse_size(text, &v) < 0 || v < (64ull << 20) || v > (1ull << 40) ||
	    !is_aligned(v, 2ull << 20))
		return -EINVAL;
	*ret_bytes = v;
	return 0;
}

/* Says itself what is wrong: -EBADMSG. Everything is parsed again where it is needed. */
static int add_disk(struct opts *o, const char *text)
{
	char why[1400];
	struct disk_opt d;

	if (o->n_disks == DISK_OPT_MAX)
		snprintf(why, sizeof(why), "at most %u disks are possible", DISK_OPT_MAX);
	else if (disk_opt_parse(text, o->n_disks, &d, why, sizeof(why)) == 0) {
		o->disk[o->n_disks++] = text;
		return 0;
	}
	fprintf(stderr, "hvhost: --disk %s: %s; see hvhost run --help\n", text, why);
	return -EBADMSG;
}

static int apply(struct opts *o, int opt, const char *arg)
{
	switch (opt) {
	case O_IMAGE:
		o->image = arg;
		return 0;
	case O_VPS:
		return parse_u32(arg, 1, SESSION_MAX_VPS, &o->vps);
	case O_MEMORY:
		return parse_memory(arg, &o->memory_bytes);
	case O_CMDLINE:
		o->vtl2_cmdline = arg;
		return strchr(arg, '\n') ? -EINVAL : 0;
	case O_DISK:
		return add_disk(o, arg);
	case O_EXEC:
		o->exec = arg;
		return 0;
	case O_STREAM:
		o->stream = true;
		return 0;
	case O_UNTIL_OFF:
		o->until_power_off = true;
		return 0;
	case O_NO_REBOOT:
		o->no_reboot = true;
		return 0;
	case O_NO_COM2:
		o->no_com2 = true;
		return 0;
	case O_CONSOLE:
		o->vtl2_console = true;
		return 0;
	case O_VSOCK:
		o->vtl2_vsock = arg;
		return 0;
	case O_CONTROL:
		o->control_path = arg;
		return *arg ? 0 : -EINVAL;
	case O_SCENARIO:
		o->scenario_path = arg;
		return 0;
	case O_CORE_DIR:
		o->core_dir = arg;
		return *arg ? 0 : -EINVAL;
	case O_LOG:
		o->log_path = arg;
		return 0;
	case O_RECORD:
		o->record_path = arg;
		return 0;
	case O_VTL2_LOG:
		o->vtl2_log_path = arg;
		return *arg ? 0 : -EINVAL;
	case O_VTL2_LOG_JSON:
		o->vtl2_log_json = true;
		return 0;
	case O_TIMEOUT:
		return parse_u32(arg, 1, 1000000, &o->timeout_s);
	case O_HOST:
		return parse_host(arg, &o->host);
	case O_OUTER:
		o->outer_dir = arg;
		return 0;
	case O_FAITHFUL:
		o->faithful = true;
		return 0;
	case O_ISOLATION:
		return parse_isolation(arg, &o->isolation);
	case O_SUMMARY:
		o->summary = true;
		return 0;
	case O_HELP:
		return 1;
	default:
		return -EINVAL;
	}
}

int opts_parse(int argc, char **argv, struct opts *ret_opts)
{
	struct opts o = {
		.vps = 2, .memory_bytes = 512ull << 20, .vtl2_cmdline = "", .core_dir = "."
	};
	int opt, idx = 0;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, "", long_opts, &idx)) != -1) {
		int r = opt == '?' ? -EINVAL : apply(&o, opt, optarg);

		if (r == 1) {
			fputs(help_text, stdout);
			return 1;
		}
		if (r == -EBADMSG)
			return -EINVAL;
		if (r < 0 && opt == '?') {
			fprintf(stderr,
				"hvhost: unknown option or missing value: %s; see hvhost run --help\n",
				argv[optind - 1]);
			return -EINVAL;
		}
		if (r < 0) {
			fprintf(stderr,
				"hvhost: --%s does not take \"%s\"; see hvhost run --help\n",
				long_opts[idx].name, optarg);
			return -EINVAL;
		}
	}
	if (optind < argc || !o.image) {
		fprintf(stderr, "hvhost: %s; see hvhost run --help\n",
			o.image ? "unexpected argument" : "--image is needed");
		return -EINVAL;
	}
	*ret_opts = o;
	return 0;
}
