// Which roles may do what, as installed [RC apps/meteor/app/authorization/server/constant/permissions.ts
// @014c0860]. `owner` and `moderator` are roles in a room; the others are the user's own.
const PERMISSIONS = {
  'add-user-to-any-c-room': ['admin'],
  'add-user-to-any-p-room': [],
  'add-user-to-joined-room': ['admin', 'owner', 'moderator'],
  'api-bypass-rate-limit': ['admin', 'bot', 'app'],
  'clean-channel-history': ['admin'],
  'create-c': ['admin', 'user', 'bot', 'app'],
  'create-d': ['admin', 'user', 'bot', 'app'],
  'create-p': ['admin', 'user', 'bot', 'app'],
  'create-personal-access-tokens': ['admin', 'user'],
  'create-user': ['admin'],
  'delete-c': ['admin', 'owner'],
  'delete-d': ['admin'],
  'delete-message': ['admin', 'owner', 'moderator'],
  'delete-own-message': ['admin', 'user'],
  'delete-p': ['admin', 'owner'],
  'delete-user': ['admin'],
  'edit-message': ['admin', 'owner', 'moderator'],
  'edit-other-user-active-status': ['admin'],
  'edit-other-user-info': ['admin'],
  'force-delete-message': ['admin', 'owner'],
  'logout-other-user': ['admin'],
  'remove-user': ['admin', 'owner', 'moderator'],
  'user-generate-access-token': ['admin'],
  'view-d-room': ['admin', 'user', 'bot', 'app', 'guest'],
  'view-full-other-user-info': ['admin'],
};

/** rid: where the permission is asked for in a room, whose roles count too. */
export function may(store, user, permission, rid) {
  const roles = PERMISSIONS[permission];
  if (!roles) throw new TypeError(`no permission ${permission}`);
  const inRoom = rid === undefined ? [] : store.subscription(rid, user._id)?.roles ?? [];
  return [...user.roles, ...inRoom].some((role) => roles.includes(role));
}
