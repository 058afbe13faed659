/* SPDX-License-Identifier: MIT */
/*
 * The owner of a diagnostics server without a VM: a small inspect tree with real content, a VM that
 * can be paused and resumed, a second process to crash.
 */
#pragma once

#include "diag_server.h"

struct hosted_owner;

struct hosted_owner_cfg {
	struct loop *loop;
	bool busy; /* with what a VM under load would show */
	bool stuck; /* with vm/stuck, which nobody ever answers for */
	bool waiting; /* the workers wait for Start */
	const struct diag_ops *ops; /* set by hosted_owner_create() */
};

/**
 * hosted_owner_create - a process "vm" is started, too
 * Returns: 0; -ENOMEM; -errno
 */
must_check int hosted_owner_create(struct hosted_owner_cfg *cfg, struct hosted_owner **ret_owner);
/* Shown in the tree as diag/server. */
void hosted_owner_set_server(struct hosted_owner *o, const struct diag_server *srv);
void hosted_owner_destroy(struct hosted_owner *o);
