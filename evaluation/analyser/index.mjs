// Reads pictures of flat shapes and compares them with their prompts. Uses neither browser nor Node APIs.
export { adheres, findOne, nameOf } from './adherence.mjs';
export { analysePicture } from './analyse.mjs';
export { backgrounds, colours } from '../../support/palette.mjs';
export { relationOf } from './relations.mjs';
export { shapes } from './shapes.mjs';
