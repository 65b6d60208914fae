/* bridge/settings/settings_syntax.h - what a text setting may look like.
 *
 * Each checks one value and normalises it in place; none makes it longer. NULL: good. Otherwise
 * what is allowed, to stand behind "must be". Pure; the text is not empty. */
#ifndef BRIDGE_SETTINGS_SETTINGS_SYNTAX_H
#define BRIDGE_SETTINGS_SETTINGS_SYNTAX_H

const char *settings_check_text(char *text); /* UTF-8 without control characters */
const char *settings_check_rest_address(char *text);
const char *settings_check_ddp_address(char *text);
const char *settings_check_proxy(char *text);  /* becomes http://host:port */
const char *settings_check_origin(char *text); /* becomes what a browser sends */
const char *settings_check_instance(char *text);
const char *settings_check_hub_path(char *text); /* loses slashes at its end */
const char *settings_check_route(char *text);    /* of the proxy: im_path.h */
const char *settings_check_cidr(char *text);
const char *settings_check_api_key(char *text); /* what a header can carry */
const char *settings_check_algorithm(char *text);
const char *settings_check_jwks(char *text);
const char *settings_check_event(char *text); /* further_events.h */
const char *settings_check_call(char *text);  /* a DDP method that Call may name */

#endif
