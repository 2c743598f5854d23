/* A large object by reference: written once, in place, in shared memory; read by many tasks without
 * a copy on its node, and carried over once to each other node. */
#include <stdio.h>

#include <raia/raia.h>

#define COUNT (8 << 20) /* of numbers: 64 MiB */
#define PARTS 8

/* sum_part(numbers, part): the sum of its eighth. */
static int sum_part(raia_call *c)
{
    size_t size;
    int64_t part, total = 0;
    const int64_t *numbers = raia_arg_bytes(c, 0, &size);
    if (!numbers || raia_arg_int(c, 1, &part) < 0)
        return raia_fail(c, "sum_part wants numbers and a part");
    size_t each = size / sizeof *numbers / PARTS;
    for (size_t i = 0; i < each; i++)
        total += numbers[(size_t)part * each + i];
    return raia_return_int(c, total);
}
RAIA_TASK(sum_part)

int main(void)
{
    raia_ref *sums[PARTS];
    int64_t total = 0, v;
    if (raia_init(NULL) < 0)
        return raia_perror("init");

    raia_buffer *b = raia_create(COUNT * sizeof(int64_t));
    if (!b)
        return raia_perror("create");
    int64_t *numbers = raia_buffer_data(b);
    for (int64_t i = 0; i < COUNT; i++)
        numbers[i] = i;
    raia_ref *object = raia_seal(b, RAIA_RAW); /* immutable from here on */

    for (int p = 0; p < PARTS; p++)
        sums[p] = raia_submit(sum_part, raia_value_of(object), raia_int(p));
    for (int p = 0; p < PARTS; p++) {
        if (raia_get_int(sums[p], &v, RAIA_FOREVER) < 0)
            return raia_perror("sum");
        total += v;
    }
    printf("the sum is %ld\n", (long)total);
    raia_release_all(sums, PARTS);
    raia_release(object); /* the last reference: its memory is freed everywhere */
    raia_shutdown();
    return 0;
}
