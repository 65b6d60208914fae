// REST: uploads in one step (rooms.upload, gone in 8) or two (rooms.media, rooms.mediaConfirm), and
// the download of what was uploaded.
import { MeteorError, RestAnswer } from './codec.mjs';
import { sendMessage } from './methods.mjs';

const TEMPORARY_MS = 24 * 3600 * 1000;
const fail = (error, reason) => {
  throw new MeteorError(error, reason);
};

/** The parts of a multipart/form-data body: {fields: {name: text}, file: {name, type, content} or undefined}. */
export function readForm(contentType, body) {
  const boundary = /boundary=(?:"([^"]+)"|([^;]+))/i.exec(contentType ?? '');
  if (!boundary) fail('error-invalid-body', 'multipart/form-data expected');
  const mark = Buffer.from(`\r\n--${boundary[1] ?? boundary[2]}`);
  const bytes = Buffer.concat([Buffer.from('\r\n'), body]);
  const form = { fields: {}, file: undefined, other: undefined };
  for (let at = bytes.indexOf(mark); at >= 0; ) {
    const start = at + mark.length;
    at = bytes.indexOf(mark, start);
    if (at < 0 || bytes.subarray(start, start + 2).toString() === '--') break;
    addPart(form, bytes.subarray(start + 2, at));
  }
  return form;
}

function addPart(form, part) {
  const split = part.indexOf('\r\n\r\n');
  const head = part.subarray(0, split).toString();
  const content = part.subarray(split + 4);
  const name = /\bname="([^"]*)"/i.exec(head)?.[1];
  const filename = /filename="([^"]*)"/i.exec(head)?.[1];
  if (filename === undefined) form.fields[name] = content.toString();
  else form[name === 'file' ? 'file' : 'other'] = { name: filename, type: /content-type: *([^\r\n]+)/i.exec(head)?.[1] ?? 'application/octet-stream', content };
}

function storeUpload({ store, user, options, urlParams, form }, more) {
  if (!store.canAccess(urlParams.rid, user._id)) throw new RestAnswer(403, { success: false, error: 'unauthorized' });
  if (!form.file) fail('invalid-field');
  if (form.file.content.length > options.maxFileSize) fail('error-file-too-large', 'File too large');
  return store.addUpload({ ...form.file, size: form.file.content.length, rid: urlParams.rid, userId: user._id, ...more });
}

const pathOf = ({ _id, name }) => `/file-upload/${_id}/${encodeURI(name)}`;

/** The message of a file, in the shape that clients show. */
function postFile(context, file, { msg = '', description, tmid }) {
  if ((description ?? '').length > 5000) fail('error-message-size-exceeded', 'Message size exceeds Message_MaxAllowedSize');
  const { _id, name, type, size, rid } = file;
  const image = type.startsWith('image/') && { image_url: pathOf(file), image_type: type, image_size: size };
  const attachment = { ts: new Date(0), title: name, title_link: pathOf(file), title_link_download: true, type: 'file', ...(description && { description }), ...image };
  const named = { _id, name, type };
  return sendMessage(context, { rid, msg, tmid, attachments: [attachment], file: named, files: [{ ...named, size, format: name.split('.').pop() }] });
}

function upload(context) {
  const { fields } = context.form;
  return { message: postFile(context, storeUpload(context), fields) };
}

function media(context) {
  const { store, form } = context;
  let content;
  try {
    content = form.fields.content && JSON.parse(form.fields.content);
  } catch {
    fail('invalid-field-content');
  }
  const file = storeUpload(context, { content: form.file?.content, e2e: content, expiresAt: new Date(store.clock.now() + TEMPORARY_MS) });
  return { file: { _id: file._id, url: pathOf(file) } };
}

function mediaConfirm(context) {
  const { store, user, urlParams, body } = context;
  if (!store.canAccess(urlParams.rid, user._id)) throw new RestAnswer(403, { success: false, error: 'unauthorized' });
  const file = store.upload(urlParams.fileId);
  if (!file || file.rid !== urlParams.rid) fail('invalid-file');
  const message = postFile(context, file, body);
  file.expiresAt = undefined;
  return { message };
}

export const fileRoutes = {
  'rooms.upload': { POST: { params: ['rid'], upload: true, until: 8, run: upload } },
  'rooms.media': { POST: { params: ['rid'], upload: true, run: media } },
  'rooms.mediaConfirm': { POST: { params: ['rid', 'fileId'], run: mediaConfirm } },
};

/** GET /file-upload/ID/NAME: for members, by headers, by cookies or by the query. */
export function download(store, req, res, path, query) {
  const cookies = Object.fromEntries((req.headers.cookie ?? '').split(/; */).map((c) => c.split('=')));
  const uid = req.headers['x-user-id'] ?? cookies.rc_uid ?? query.get('rc_uid');
  const token = req.headers['x-auth-token'] ?? cookies.rc_token ?? query.get('rc_token');
  const file = store.upload(path.split('/')[2]);
  const found = store.findToken(token);
  if (!file) return void res.writeHead(404).end();
  if (!found || found.user._id !== uid || !store.canAccess(file.rid, uid)) return void res.writeHead(403).end();
  const headers = { 'Content-Type': file.type, 'Content-Length': file.size, 'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}` };
  return void res.writeHead(200, headers).end(file.content);
}
