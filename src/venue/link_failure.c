#include "venue/link_failure.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

#define TELL_AGAIN_NS (60 * TF_NS_PER_S)

static const struct {
    const char *stage;
    tf_stat_t stat;
} kinds[] = {
#define ROW(name, counter, stage_text) {stage_text, TF_STAT_##counter},
    TF_LINK_FAILURE_LIST(ROW)
#undef ROW
};

const char *tf_link_failure_stage(tf_link_failure_kind_t kind)
{
    return kinds[kind].stage;
}

tf_stat_t tf_link_failure_stat(tf_link_failure_kind_t kind)
{
    return kinds[kind].stat;
}

/* The same one, or the place of the one told longest ago. */
static tf_link_failure_t *place_of(tf_link_failures_t *failures, tf_link_failure_kind_t kind,
                                   const char *text)
{
    tf_link_failure_t *oldest = &failures->kept[0];
    for (size_t i = 0; i < TF_LINK_FAILURES_KEPT; i++) {
        tf_link_failure_t *kept = &failures->kept[i];
        if (kept->text[0] != '\0' && kept->kind == kind &&
            strncmp(kept->text, text, sizeof kept->text - 1) == 0)
            return kept;
        if (oldest->text[0] != '\0' && (kept->text[0] == '\0' || kept->told_ns < oldest->told_ns))
            oldest = kept;
    }
    oldest->text[0] = '\0';
    return oldest;
}

bool tf_link_failure_tell(tf_link_failures_t *failures, tf_link_failure_kind_t kind,
                          const char *text, int64_t now_ns, uint64_t *again)
{
    tf_link_failure_t *kept = place_of(failures, kind, text);
    bool same = kept->text[0] != '\0';
    *again = 0;
    if (same && now_ns - kept->told_ns < TELL_AGAIN_NS) {
        kept->untold++;
        return false;
    }
    if (same)
        *again = kept->untold;
    kept->kind = kind;
    (void)snprintf(kept->text, sizeof kept->text, "%s", text);
    kept->told_ns = now_ns;
    kept->untold = 0;
    return true;
}

void tf_link_failures_forget(tf_link_failures_t *failures)
{
    *failures = (tf_link_failures_t){0};
}
