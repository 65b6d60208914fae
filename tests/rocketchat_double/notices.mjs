// The store's changes that reach clients as single notices: who is online, whose data changed, what
// was pruned or read, and desktop notifications.
import { STATUS } from './presence.mjs';

export function announceNotices(store, streams, options) {
  const toUser = (user, name, args) => streams.notifyUser(user._id, name, args);
  const toLogged = (event, args) => streams.emit('stream-notify-logged', event, args);
  const toRoom = (rid, name, args) => streams.emit('stream-notify-room', `${rid}/${name}`, args);

  store.on('presence', ({ user }) => {
    const { _id, username, name, roles, status, statusText } = user;
    const diff = { status, ...(statusText && { statusText }) };
    toUser(user, 'userData', [{ type: 'updated', id: _id, diff, unset: statusText ? {} : { statusText: 1 } }]);
    toLogged('user-status', [[_id, username, STATUS[status], statusText, name, roles]]); // an array in the array
    streams.presence(_id, [[username, STATUS[status], statusText]]);
  });

  store.on('user-updated', ({ user, diff }) => {
    toUser(user, 'userData', [{ type: 'updated', id: user._id, diff, unset: {} }]);
    if (diff.name ?? diff.username) toLogged('Users:NameChanged', [{ _id: user._id, name: user.name, username: user.username }]);
  });

  store.on('user-deleted', ({ user }) => {
    toUser(user, 'userData', [{ type: 'removed', id: user._id }]);
    toLogged('Users:Deleted', [{ userId: user._id }]);
  });

  store.on('message-deleted', ({ rid, _id }) => toRoom(rid, 'deleteMessage', [{ _id }]));
  store.on('messages-pruned', (pruned) => toRoom(pruned.rid, 'deleteMessageBulk', [pruned]));
  store.on('read', ({ rid, until }) => toRoom(rid, 'messagesRead', [{ until }]));

  store.on('counted', ({ room, message, member, mentioned }) => {
    const wanted = options.notifications === 'all' || (options.notifications === 'mentions' && (mentioned || room.t === 'd'));
    if (wanted) streams.notifyUser(member._id, 'notification', [notification(room, message)]);
  });
}

/** The payload's shape is the reference's; how title and text are worded is not on record. */
function notification(room, message) {
  const { _id, rid, tmid, t, msg, u } = message;
  return {
    title: room.t === 'd' ? `@${u.username}` : `#${room.name}`,
    text: room.t === 'd' ? msg : `${u.username}: ${msg}`,
    duration: 0,
    payload: { _id, rid, ...(tmid && { tmid }), sender: u, type: room.t, name: room.name, message: { msg, ...(t && { t }) } },
  };
}
