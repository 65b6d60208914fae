// REST: chat.*.
import { MeteorError, RestAnswer } from './codec.mjs';
import { deleteMessage, editMessage, messagesGet, react, readableMessage, sendMessage } from './methods.mjs';
import { page } from './rest_page.mjs';
import { updatedSince } from './sync.mjs';

const fail = (error, reason) => {
  throw new MeteorError(error, reason);
};

function syncMessages(context) {
  const { query } = context;
  const get = (name) => query.get(name) ?? undefined;
  if (!get('roomId')) fail('error-param-required', 'The required "roomId" query param is missing');
  if (!get('lastUpdate') && !get('type')) fail('error-param-required', 'The "type" or "lastUpdate" parameters must be provided');
  if (get('lastUpdate') && (get('next') ?? get('previous')) !== undefined) fail('error-cursor-and-lastUpdate-conflict', 'The attributes "next" or "previous" cannot be used with "lastUpdate"');
  const lastUpdate = get('lastUpdate') && new Date(get('lastUpdate'));
  if (lastUpdate && Number.isNaN(lastUpdate.getTime())) fail('error-lastUpdate-param-invalid', 'The "lastUpdate" query parameter must be a valid date');
  const count = get('count') && Number(get('count'));
  const { updated = [], deleted = [], cursor } = messagesGet(context, get('roomId'), { lastUpdate, type: get('type'), next: get('next'), previous: get('previous'), ...(count && { count }) });
  return { result: { updated, deleted, ...(cursor && { cursor }) } };
}

/** Of any room, member or not: upstream does not look. */
function getDeletedMessages({ store, query }) {
  const since = new Date(query.get('since'));
  if (!query.get('roomId')) fail('error-roomId-param-not-provided', 'The required "roomId" query param is missing.');
  if (!query.get('since')) fail('error-since-param-not-provided', 'The required "since" query param is missing.');
  if (Number.isNaN(since.getTime())) fail('error-since-param-invalid', 'The "since" query parameter must be a valid date.');
  const gone = store.trash.messages.filter((m) => m.rid === query.get('roomId') && m._deletedAt > since);
  return page(query, 'messages', gone.map(({ _id }) => ({ _id })));
}

const repliesTo = (context) => {
  const thread = readableMessage(context, 'getThreadMessages', context.query.get('tmid'));
  return context.store.messagesOf(thread.rid).filter((m) => m.tmid === thread._id);
};

function syncThreadMessages(context) {
  const since = new Date(context.query.get('updatedSince'));
  if (Number.isNaN(since.getTime())) fail('error-updatedSince-param-invalid', 'The "updatedSince" query parameter must be a valid date.');
  const tmid = context.query.get('tmid');
  const removed = context.store.trash.messages.filter((m) => m.tmid === tmid && m._deletedAt > since);
  return { messages: { update: updatedSince(repliesTo(context), since), remove: removed.map(({ _id, _deletedAt }) => ({ _id, _deletedAt })) } };
}

function postMessage(context) {
  const { store, user, body } = context;
  const target = body.roomId ?? body.channel;
  const name = typeof target === 'string' ? target.replace(/^[#@]/, '') : undefined;
  const peer = target?.startsWith?.('@') ? store.userByName(name) : undefined;
  const room = peer ? store.directRoom(user, peer) : store.rooms.get(name) ?? store.roomByName(name);
  if (!room) fail('invalid-channel', 'The channel name is not valid');
  const { text: msg, tmid, attachments } = body;
  const message = sendMessage(context, { rid: room._id, msg, tmid, attachments });
  return { ts: message.ts, channel: room._id, message };
}

/** Known `_id`s come to nothing, and what is made of that is an error of the route's own: it looks
 *  into the message that is not there (normalizeMessagesForUser.ts, indexed id 1252912751). */
function sendRoute(context) {
  const message = sendMessage(context, context.body.message);
  if (!message) throw new RestAnswer(400, { success: false, error: "Cannot read properties of undefined (reading 'starred')" });
  return { message };
}

/** A message that is not there is a failure without a word (chat.ts, indexed id 39724237092). */
function getMessageRoute(context) {
  const id = context.query.get('msgId');
  if (!context.store.messages.has(id)) throw new RestAnswer(400, { success: false });
  return { message: readableMessage(context, 'getSingleMessage', id) };
}

function deleteRoute(context) {
  const { store, body, user } = context;
  deleteMessage(context, body.msgId, { asUser: body.asUser === true });
  return { _id: body.msgId, ts: store.now().getTime(), message: { _id: body.msgId, rid: body.roomId, u: { _id: user._id, username: user.username } } };
}

const FIVE_A_SECOND = ({ version }) => (version >= 8 ? { limit: 5, intervalMs: 1000 } : undefined);

export const chatRoutes = {
  'chat.sendMessage': { POST: { limits: FIVE_A_SECOND, run: sendRoute } },
  'chat.postMessage': { POST: { run: postMessage } },
  'chat.update': { POST: { run: (context) => ({ message: editMessage(context, context.body.msgId, context.body.text) }) } },
  'chat.delete': { POST: { run: deleteRoute } },
  'chat.react': { POST: { run: (context) => react(context, context.body.emoji ?? context.body.reaction, context.body.messageId, context.body.shouldReact) } },
  'chat.getMessage': { GET: { run: getMessageRoute } },
  'chat.syncMessages': { GET: { run: syncMessages } },
  'chat.getDeletedMessages': { GET: { run: getDeletedMessages } },
  'chat.getThreadMessages': { GET: { run: (context) => page(context.query, 'messages', repliesTo(context)) } },
  'chat.syncThreadMessages': { GET: { run: syncThreadMessages } },
};
