// The page's state, as a frontend of the article's kind keeps it: channels with unread counts, and
// the messages of the open one.
/* global Vue, Vuex */
'use strict';

Vue.use(Vuex);

const timeOf = (ts) => new Date(ts && ts.$date !== undefined ? ts.$date : ts).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
let lines = 0;

/** One shown line. Two lines of one message stay two lines: a doubled delivery must be seen. */
const lineOf = (message, me) => ({
  key: ++lines,
  _id: message._id,
  from: message.u.username,
  own: message.u.username === me,
  system: message.t !== undefined && message.t !== null,
  t: message.t,
  text: message.msg,
  time: timeOf(message.ts),
  edited: Boolean(message.editedAt),
  reactions: message.reactions || {},
});

window.store = new Vuex.Store({
  state: {
    users: [], // who may be chosen
    me: null,
    channels: [], // {_id, name, fname, t, unread}
    current: null, // _id of the open channel
    messages: [],
    connection: 'Disconnected',
    bridge: null, // what the bridge last said of its link to Rocket.Chat
    counts: {}, // hub event -> times, for tests
  },
  getters: {
    title: (state) => {
      const channel = state.channels.find((c) => c._id === state.current);
      return channel ? channel.fname || channel.name : 'No channel';
    },
  },
  mutations: {
    users: (state, users) => (state.users = users),
    me: (state, me) => (state.me = me),
    channels: (state, channels) => (state.channels = channels),
    connection: (state, text) => (state.connection = text),
    bridge: (state, status) => (state.bridge = status),
    counted: (state, event) => Vue.set(state.counts, event, (state.counts[event] || 0) + 1),
    opened(state, { rid, messages }) {
      state.current = rid;
      state.messages = messages.map((m) => lineOf(m, state.me));
      const channel = state.channels.find((c) => c._id === rid);
      if (channel) channel.unread = 0;
    },
    appended: (state, message) => state.messages.push(lineOf(message, state.me)),
    unread(state, rid) {
      const channel = state.channels.find((c) => c._id === rid);
      if (channel) channel.unread++;
    },
    channelAdded(state, subscription) {
      const { rid, name, fname, t } = subscription;
      if (!state.channels.some((c) => c._id === rid)) state.channels.push({ _id: rid, name, fname, t, unread: 0 });
    },
    changed(state, message) {
      const i = state.messages.findIndex((m) => m._id === message._id);
      if (i >= 0) Vue.set(state.messages, i, { ...lineOf(message, state.me), key: state.messages[i].key });
    },
    deleted: (state, id) => (state.messages = state.messages.filter((m) => m._id !== id)),
  },
});
