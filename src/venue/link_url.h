/*
 * link_url: the parts of a venue's address. Pure.
 */
#pragma once

#include "base/status.h"
#include "venue/link.h"

typedef struct tf_link_url {
    char host[TF_LINK_HOST_BYTES_MAX];
    char path[TF_LINK_PATH_BYTES_MAX]; /* with its query; "/" where there is none */
    uint16_t port;
} tf_link_url_t;

/* wss://HOST[:PORT][/PATH]. No user, no fragment, no address in brackets: a certificate for one is
 * not to be had. TF_ERR_ARG names the URL and what is wrong with it. */
TF_MUST_CHECK tf_status_t tf_link_url_parse(const char *text, tf_link_url_t *out);
