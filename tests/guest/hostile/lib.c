/* SPDX-License-Identifier: MIT */
/* What the compiler may call. */
#include "hostile.h"

void *memset(void *dst, int val, size_t len);
void *memcpy(void *dst, const void *src, size_t len);

void *memset(void *dst, int val, size_t len)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(len) : "a"(val) : "memory");
	return dst;
}

void *memcpy(void *dst, const void *src, size_t len)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(len) : : "memory");
	return dst;
}
