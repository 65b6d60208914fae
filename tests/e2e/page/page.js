// Puts the page together. URL parameters: `user` (one of the server's) or `token` (a JWT and the
// name in it), `bridge` (the hub's URL; default: what the server names).
/* global Vue, Vuex, store, connectChat */
'use strict';

const parameters = new URLSearchParams(window.location.search);

async function backend(path, body) {
  const res = await fetch(`backend/${path}`, body && { method: 'POST', body: JSON.stringify(body) });
  const answer = await res.json();
  if (!res.ok) throw new Error(answer.error);
  return answer;
}

window.app = new Vue({
  el: '#app',
  store,
  data: { draft: '' },
  computed: {
    ...Vuex.mapState(['users', 'me', 'channels', 'current', 'messages', 'bridge']),
    ...Vuex.mapState({ state: 'connection' }),
    ...Vuex.mapGetters(['title']),
    stateType() {
      if (this.state === 'Connected') return 'success';
      return this.state.startsWith('Re') || this.state === 'Connecting' ? 'warning' : 'danger';
    },
  },
  watch: {
    messages() {
      this.$nextTick(() => this.$refs.list && (this.$refs.list.$el.scrollTop = 1e9));
    },
  },
  async created() {
    this.config = await backend('config');
    store.commit('users', this.config.users);
    if (parameters.has('user')) await this.enter(parameters.get('user'));
  },
  methods: {
    async enter(user) {
      const { channels } = await backend('channels', { user });
      store.commit('me', user);
      store.commit('channels', channels);
      if (!parameters.has('user')) window.history.replaceState(null, '', `?user=${user}`);
      // A fresh token at each start: an old one would not be let in again after it expired.
      let token = parameters.get('token') || (await backend('authenticate', { user })).accessToken;
      if (!parameters.has('token')) setInterval(async () => (token = (await backend('authenticate', { user })).accessToken), 600_000);
      const bridge = parameters.get('bridge') || this.config.bridge;
      window.connection = connectChat(store, bridge.replace('//*', `//${window.location.hostname}`), () => token);
      if (channels.length > 0) await this.open(channels[0]._id);
    },
    async open(rid) {
      const { messages } = await backend('history', { room: rid });
      store.commit('opened', { rid, messages });
    },
    async send() {
      const msg = this.draft.trim();
      this.draft = '';
      if (msg) await backend('send', { user: this.me, room: this.current, msg });
    },
    colour(name) {
      let hue = 0;
      for (const c of name) hue = (hue * 31 + c.codePointAt(0)) % 360;
      return `hsl(${hue}, 45%, 50%)`;
    },
  },
});
