// The hub connection: built, and its events handled, as the article's frontend does it.
/* global signalR */
'use strict';

window.connectChat = function connectChat(store, url, getToken) {
  const connection = new signalR.HubConnectionBuilder()
    .withUrl(url, {
      transport: signalR.HttpTransportType.WebSockets,
      headers: { 'X-XSRF-TOKEN': getToken(), Authorization: `Bearer ${getToken()}` },
      accessTokenFactory: getToken,
    })
    .withHubProtocol(new signalR.JsonHubProtocol())
    .withAutomaticReconnect()
    .configureLogging(signalR.LogLevel.Warning)
    .build();

  const on = (event, handler) =>
    connection.on(event, (argument) => {
      store.commit('counted', event);
      handler(argument);
    });

  // The article's two: they append, count and insert whatever comes.
  on('getRoomMessageNotification', (message) => {
    if (message.rid === store.state.current) store.commit('appended', message);
    else store.commit('unread', message.rid);
  });
  on('getRoomSubscriptionChangedNotification', (change) => {
    if (change.method === 'insert') store.commit('channelAdded', change.msg);
  });

  // What the bridge offers besides; a frontend may leave these out.
  on('getRoomMessageUpdatedNotification', (message) => store.commit('changed', message));
  on('getRoomMessageDeletedNotification', ({ _id }) => store.commit('deleted', _id));
  on('getEphemeralMessageNotification', (message) => window.app.$notify({ title: message.u.username, message: message.msg }));
  on('bridgeStatus', (status) => store.commit('bridge', status));

  const show = () => store.commit('connection', connection.state);
  connection.onreconnecting(show);
  connection.onreconnected(show);
  connection.onclose(show);
  const start = connection.start();
  show();
  start.then(show, (error) => store.commit('connection', `Failed: ${error.message}`));
  return connection;
};
