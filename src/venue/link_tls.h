/*
 * link_tls: what a link demands of the other side in TLS. The only file of venue/ with OpenSSL. TLS
 * 1.2 at least; the chain must end at an authority that we trust, and the certificate must be for
 * the host. The check is made here, whole, so that nothing set in libwebsockets can soften it.
 */
#pragma once

#include "base/status.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

/* What a handshake tells; called by the thread that makes it. */
typedef struct tf_link_tls_sink {
    void (*on_start)(void *context);
    /* The certificate failed its check: which one, in words. */
    void (*on_refused)(void *context, const char *text);
    void *context;
} tf_link_tls_sink_t;

/* For connections to `host`, a name or an IPv4 address. ca_path: a PEM file of authorities to trust
 * instead of the system's, or NULL. TF_ERR_FORMAT names the file. */
TF_MUST_CHECK tf_status_t tf_link_tls_create(struct ssl_ctx_st **out, const char *host,
                                             const char *ca_path, const tf_link_tls_sink_t *sink);
/* NULL is allowed. */
void tf_link_tls_destroy(struct ssl_ctx_st *tls);

/* Why the last handshake failed, as OpenSSL has it; NULL when it did not say. */
const char *tf_link_tls_reason(const struct ssl_ctx_st *tls);
