#include "rocketchat/rc_list.h"
#include "rocketchat/json_fields_internal.h"

bool rc_list_enter(struct json_reader *r)
{
    struct json_key key;

    if (json_peek(r) == JSON_KIND_ARRAY)
        return json_enter_array(r);
    if (!json_enter_object(r))
        return false;
    while (json_next_plain_key(r, &key)) {
        if (json_key_is(&key, "update"))
            return json_enter_array(r);
        json_skip(r);
    }
    return false;
}
