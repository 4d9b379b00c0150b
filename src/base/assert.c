#include "base/assert.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static tf_panic_handler_t panic_handler;

void tf_panic_handler_set(tf_panic_handler_t handler)
{
    panic_handler = handler;
}

_Noreturn void tf_panic(const char *file, int line, const char *expression)
{
    if (panic_handler != NULL)
        panic_handler(file, line, expression);
    (void)fprintf(stderr, "level=fatal event=panic file=%s line=%d expression=%s\n", file, line,
                  TF_LOG_TEXT(expression));
    abort();
}
