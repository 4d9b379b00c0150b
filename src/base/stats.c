#include "base/stats.h"

static const struct {
    const char *name;
    const char *text;
} rows[TF_STAT_COUNT] = {
#define TF_STAT(name, text) {#name, text},
#include "base/stats.def"
#undef TF_STAT
};

const char *tf_stat_name(tf_stat_t stat)
{
    TF_ASSERT(stat < TF_STAT_COUNT);
    return rows[stat].name;
}

const char *tf_stat_text(tf_stat_t stat)
{
    TF_ASSERT(stat < TF_STAT_COUNT);
    return rows[stat].text;
}
