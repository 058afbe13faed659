/* SPDX-License-Identifier: MIT */
/* VMBus serial redirector messages. Spec: spec/chipset-uefi-vtpm.md 4.2. */
#pragma once

#include <stdint.h>

#include "get_proto.h"
#include "macros.h"

#define VSERIAL_INTERFACE_GUID \
	GUID_INIT(0x8b60ccf6, 0x709f, 0x4c11, 0x90, 0xb5, 0x22, 0x9c, 0x95, 0x9a, 0x9e, 0x6a)
#define VSERIAL_COM1_GUID \
	GUID_INIT(0x700df40e, 0xb947, 0x4776, 0xb8, 0x39, 0xd1, 0xb0, 0xa3, 0x5a, 0xf0, 0x34)
#define VSERIAL_COM2_GUID \
	GUID_INIT(0x7e55f4b8, 0xaf84, 0x4e98, 0x9f, 0x1a, 0x8e, 0x8d, 0x0b, 0xde, 0x37, 0x44)
#define VSERIAL_COM3_GUID \
	GUID_INIT(0x3f158fa1, 0xb0aa, 0x45e9, 0xba, 0x54, 0x9f, 0xc7, 0x3f, 0x6c, 0x59, 0xec)
#define VSERIAL_COM4_GUID \
	GUID_INIT(0x8688a06f, 0x9b53, 0x48ce, 0xb4, 0x08, 0x75, 0x81, 0x62, 0x62, 0x28, 0xc5)

#define VSERIAL_VERSION 0x00010000u
#define VSERIAL_MAX_MESSAGE 512u
#define VSERIAL_DATA 64

/* Header and message types are those of GET (get_proto.h); ids by type: */
enum vserial_request { VSERIAL_RQ_VERSION = 1, VSERIAL_RQ_GET_RX_DATA = 2 };
enum vserial_host_notification { VSERIAL_HN_RX_CLEAR = 1, VSERIAL_HN_TX_DATA = 2 };
enum vserial_guest_notification {
	VSERIAL_GN_RX_AVAILABLE = 1,
	VSERIAL_GN_MODEM_STATUS = 2,
	VSERIAL_GN_TX_COMPLETED = 3,
};

struct vserial_rx_rsp {
	struct get_header h;
	uint8_t len; /* 0..VSERIAL_DATA */
	uint8_t more;
	uint8_t data[VSERIAL_DATA];
};
WIRE_SIZE(struct vserial_rx_rsp, 70);

struct vserial_tx {
	struct get_header h;
	uint8_t len; /* 0..VSERIAL_DATA */
	uint8_t data[VSERIAL_DATA];
	uint8_t pad;
};
WIRE_SIZE(struct vserial_tx, 70);

struct vserial_modem {
	struct get_header h;
	uint8_t status;
	uint8_t connected;
};
WIRE_SIZE(struct vserial_modem, 6);
