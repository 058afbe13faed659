/* SPDX-License-Identifier: MIT */
#include "list.h"

#include "unit.h"

struct item {
	int val;
	struct list link;
};

static int item_val(struct list *l)
{
	return container_of(l, struct item, link)->val;
}

START_TEST(keeps_insertion_order)
{
	struct item items[5];
	struct list head;
	int expected = 0;

	list_init(&head);
	ck_assert(list_empty(&head));
	for (int i = 0; i < 5; i++) {
		items[i].val = i;
		list_add_tail(&head, &items[i].link);
	}
	list_for_each(pos, &head)
		ck_assert_int_eq(item_val(pos), expected++);
	ck_assert_int_eq(expected, 5);
}
END_TEST

START_TEST(pop_drains_from_the_front)
{
	struct item items[3] = { { .val = 0 }, { .val = 1 }, { .val = 2 } };
	struct list head;

	list_init(&head);
	for (int i = 0; i < 3; i++)
		list_add_tail(&head, &items[i].link);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(item_val(list_pop(&head)), i);
	ck_assert_ptr_null(list_pop(&head));
	ck_assert(list_empty(&head));
}
END_TEST

START_TEST(del_is_safe_twice)
{
	struct item a = { .val = 1 }, b = { .val = 2 }, c = { .val = 3 };
	struct list head;

	list_init(&head);
	list_add_tail(&head, &a.link);
	list_add_tail(&head, &b.link);
	list_add_tail(&head, &c.link);
	list_del(&b.link);
	list_del(&b.link);
	ck_assert(list_empty(&b.link));
	ck_assert_int_eq(item_val(head.next), 1);
	ck_assert_int_eq(item_val(head.next->next), 3);
	ck_assert_ptr_eq(head.prev, &c.link);
}
END_TEST

UNIT_MAIN("base/list", keeps_insertion_order, pop_drains_from_the_front, del_is_safe_twice)
