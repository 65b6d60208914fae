/* bridge/admin/health.h - what /readyz says.
 *
 * {"status":"ok|degraded|starting|draining","reasons":["..."]}. Ready is false only while starting
 * or draining: a load balancer that took every instance out over a sick Rocket.Chat would turn its
 * outage into a dead frontend. */
#ifndef BRIDGE_ADMIN_HEALTH_H
#define BRIDGE_ADMIN_HEALTH_H

#include <stdbool.h>

struct program;
struct byte_buf;

bool health_write(const struct program *program, struct byte_buf *json); /* true: ready */

#endif
