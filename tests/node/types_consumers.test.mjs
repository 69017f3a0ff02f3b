// The types of the packed package, as users' compilers see them: all kinds of module resolution, with and
// without the DOM, with the strictest options; and no `any`.
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import ts from 'typescript';
import { run } from '../../tools/lib/commands.mjs';
import { project } from '../../tools/lib/paths.mjs';
import { newProject } from '../engines/support/packed.mjs';
import { isFullRun } from '../support/full_run.mjs';

const es2022 = ['lib.es2022.d.ts'];
const dom = [...es2022, 'lib.dom.d.ts'];
const nodeNext = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext };
const node16 = { module: ts.ModuleKind.Node16, moduleResolution: ts.ModuleResolutionKind.Node16 };
const bundler = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };

const strictest = {
  exactOptionalPropertyTypes: true,
  isolatedModules: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
};

/** Compilers' options that differ from `common`, and the programs that they compile. */
const consumers = [
  ['a bundler', { ...bundler, lib: dom }, 'program.mts', 'browser_program.mts'],
  ['a bundler, without the DOM', bundler, 'program.mts'],
  ['a bundler, for a worker', { ...bundler, lib: [...es2022, 'lib.webworker.d.ts'] }, 'program.mts'],
  ['nodenext', { ...nodeNext, lib: dom }, 'program.mts', 'program.cts', 'browser_program.mts'],
  ['nodenext, without the DOM', nodeNext, 'program.mts', 'program.cts'],
  ['node16, without the DOM', node16, 'program.mts', 'program.cts'],
  ['nodenext, with the types of Node', { ...nodeNext, types: ['node'] }, 'program.mts'],
  ['nodenext, with the strictest options', { ...nodeNext, ...strictest }, 'program.mts'],
];

const common = {
  target: ts.ScriptTarget.ES2022,
  lib: es2022,
  types: [],
  typeRoots: [path.join(project, 'node_modules/@types')],
  strict: true,
  declaration: true,
  noEmit: true,
};

/** True for the declarations of TypeScript and Node, whose check would cost 10 s. */
const isLibrary = (file) => /\/lib\.[\w.]+\.d\.ts$|\/node_modules\/@types\//.test(file);

const sources = new Map();

/** Returns a host of the compiler that parses each library file once. */
function cachingHost(options) {
  const host = ts.createCompilerHost(options);
  const parse = host.getSourceFile;
  host.getSourceFile = (file, version, ...rest) => {
    const key = `${file} ${JSON.stringify(version)}`;
    if (!isLibrary(file)) return parse(file, version, ...rest);
    if (!sources.has(key)) sources.set(key, parse(file, version, ...rest));
    return sources.get(key);
  };
  return host;
}

/** Returns the errors in programs and the package's declarations, which skipLibCheck would hide. */
function diagnosticsOf(program) {
  const files = program.getSourceFiles().filter(({ fileName }) => !isLibrary(fileName));
  const inFile = (file) => [
    ...program.getSyntacticDiagnostics(file),
    ...program.getSemanticDiagnostics(file),
    ...program.getDeclarationDiagnostics(file),
  ];
  const ofProgram = [...program.getOptionsDiagnostics(), ...program.getGlobalDiagnostics()];
  return [...ofProgram, ...files.flatMap(inFile)];
}

const describeAll = (diagnostics) =>
  ts.formatDiagnostics(diagnostics, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => project,
    getNewLine: () => '\n',
  });

/** True for declarations whose type is that of a value. */
const hasType = (node) =>
  (ts.isPropertyDeclaration(node) || ts.isVariableDeclaration(node) || ts.isParameter(node)) &&
  !ts.isPrivateIdentifier(node.name);

/**
 * Returns the types and values in the package's declarations that are `any`, as `file:line text`, and the
 * number of those that were examined.
 */
function findAny(program) {
  const checker = program.getTypeChecker();
  const found = [];
  let count = 0;
  for (const file of program.getSourceFiles()) {
    if (!file.fileName.includes('/diffusion-cross-attention/dist/')) continue;
    const visit = (node) => {
      const type = ts.isTypeNode(node)
        ? checker.getTypeFromTypeNode(node)
        : hasType(node)
          ? checker.getTypeAtLocation(node)
          : null;
      if (type) ++count;
      if (type && type.flags & ts.TypeFlags.Any) {
        const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
        found.push(`${path.basename(file.fileName)}:${line + 1} ${node.getText(file)}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(file);
  }
  return { found, count };
}

const programs = path.join(project, 'tests/types/consumers');

describe("users' compilers", () => {
  let folder;
  before(async () => {
    const names = await readdir(programs);
    const read = async (name) => [name, await readFile(path.join(programs, name), 'utf8')];
    folder = await newProject('types', Object.fromEntries(await Promise.all(names.map(read))));
  });

  for (const [name, different, ...files] of consumers) {
    test(name, () => {
      const options = { ...common, ...different };
      const roots = files.map((file) => path.join(folder, file));
      const program = ts.createProgram(roots, options, cachingHost(options));
      assert.equal(describeAll(diagnosticsOf(program)), '');
      const { found, count } = findAny(program);
      assert.deepEqual(found, []);
      assert.ok(count > 500, `only ${count} types were checked`);
    });
  }

  test(
    'an older compiler',
    { skip: !isFullRun && 'downloads compilers; only in npm run test:full' },
    async () => {
      // No types of other packages. npm exec drops empty arguments, so that `--types ''` is not possible.
      const lib = ['--lib', 'es2022', '--typeRoots', 'none'];
      const options = ['--noEmit', '--strict', '--target', 'es2022', ...lib, '--module', 'nodenext'];
      for (const version of ['5.2.2', '5.6.3', '5.9.3']) {
        const compiler = ['exec', '--yes', `--package=typescript@${version}`, '--', 'tsc'];
        await run('npm', [...compiler, ...options, 'program.mts'], { cwd: folder, seconds: 300 });
      }
    },
  );
});
