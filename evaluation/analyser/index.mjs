// Reads pictures of flat shapes and compares them with what was asked for. Needs neither a browser nor Node.
export { adheres, findOne, nameOf } from './adherence.mjs';
export { analysePicture } from './analyse.mjs';
export { backgrounds, colours } from '../../support/palette.mjs';
export { relationOf } from './relations.mjs';
export { shapes } from './shapes.mjs';
