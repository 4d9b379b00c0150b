#include "base/stats.h"

/* The owners of a row, as stats.def writes them. */
enum {
    INGEST = TF_THREAD_INGEST,
    FANOUT = TF_THREAD_FANOUT,
    BELL_HOST = TF_THREAD_BELL_HOST,
    BELL_GUEST = TF_THREAD_BELL_GUEST,
};

static const struct {
    unsigned owners;
    const char *name;
    const char *text;
} rows[TF_STAT_COUNT] = {
#define TF_STAT(owners, name, text) {owners, #name, text},
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

bool tf_stat_of(tf_stat_t stat, tf_thread_kind_t kind)
{
    TF_ASSERT(stat < TF_STAT_COUNT);
    return (rows[stat].owners & (unsigned)kind) != 0;
}
