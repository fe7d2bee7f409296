/* The reference of the byte products. */
#include "core/kern/byte_dots.h"
#include "core/kern/ref/tables.h"

static void run(size_t panels, size_t steps, const uint8_t *query, const int8_t *table, int32_t *sums)
{
    for (size_t panel = 0; panel < panels; panel++, sums += ATT_BYTE_PANEL) {
        for (size_t i = 0; i < ATT_BYTE_PANEL; i++)
            sums[i] = 0;
        for (size_t s = 0; s < steps; s++, table += ATT_BYTE_PANEL * ATT_BYTE_STEP)
            for (size_t i = 0; i < ATT_BYTE_PANEL; i++)
                for (size_t u = 0; u < ATT_BYTE_STEP; u++)
                    sums[i] += query[s * ATT_BYTE_STEP + u] * table[i * ATT_BYTE_STEP + u];
    }
}

const struct att_byte_dots att_byte_dots_ref = {.name = "ref", .needs = 0, .run = run};
