/**
 * Translates the kernels of @invnet/tensor from AssemblyScript to C, so that each stands once: what an operation
 * computes, and in which order it adds, is the same in WebAssembly and in native code, hence so is every bit.
 *
 * AssemblyScript reads as TypeScript does, so the compiler's parser gives the syntax tree, and each kind of node
 * that the kernels use has its line here; any other is an error. Pointers stay 32-bit offsets, from an address `mem` that every
 * function is given. What vectors are and do is not translated: src/c/simd.h is assembly/simd.ts by hand.
 */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const assembly = join(dirname(fileURLToPath(import.meta.url)), '../../tensor/assembly');

/** Kernels that are left to WebAssembly: one that is used too seldom, and what belongs to a module's own memory. */
const left = new Set(['power', 'heapBase', 'useScratchAt']);

/** Kernels of modules of their own, which natively are with all others. */
const further = [
  ['wave', 'leapfrog'],
  ['spline', 'spline'],
  ['spline', 'splineBack'],
];

const types = {
  i32: 'int32_t',
  u32: 'uint32_t',
  i64: 'int64_t',
  usize: 'uint32_t',
  f32: 'float',
  f64: 'double',
  bool: 'int',
  void: 'void',
  v128: 'vec',
  quad: 'quad',
  doubles: 'doubles',
  widened: 'widened',
  places: 'places',
};

const K = ts.SyntaxKind;

/** One file of the kernels, and the names that it takes from others. */
function parse(name) {
  const text = readFileSync(join(assembly, `${name}.ts`), 'utf8');
  const tree = ts.createSourceFile(`${name}.ts`, text, ts.ScriptTarget.Latest, true);
  const names = new Map();
  const own = new Set();
  const needs = [];
  for (const node of tree.statements) {
    const from = node.moduleSpecifier?.text.slice(2);
    if (ts.isImportDeclaration(node)) {
      needs.push(from);
      for (const { name: imported } of node.importClause.namedBindings.elements) {
        names.set(imported.text, from === 'simd' ? imported.text : `${from}_${imported.text}`);
      }
    } else if (ts.isFunctionDeclaration(node)) own.add(node.name.text);
    else if (ts.isVariableStatement(node)) own.add(node.declarationList.declarations[0].name.text);
  }
  for (const name_ of own) names.set(name_, `${name}_${name_}`);
  return { name, tree, names, needs };
}

/** All files that the modules need, each behind those that it needs itself. */
function collect() {
  const index = parse('index');
  const files = new Map();
  const visit = (name) => {
    if (name === 'simd' || files.has(name)) return;
    const file = parse(name);
    files.set(name, undefined);
    for (const need of file.needs) visit(need);
    files.delete(name);
    files.set(name, file);
  };
  const exported = [];
  for (const node of index.tree.statements) {
    if (!ts.isExportDeclaration(node)) continue;
    const from = node.moduleSpecifier.text.slice(2);
    const kept = node.exportClause.elements
      .map(({ name }) => name.text)
      .filter((n) => !left.has(n));
    if (kept.length > 0) visit(from);
    for (const name of kept) exported.push({ from, name });
  }
  for (const [from, name] of further) {
    visit(from);
    exported.push({ from, name });
  }
  return { files: [...files.values()], exported };
}

const classes = new Set();
const shuffles = new Set();

function fail(node) {
  const file = node.getSourceFile();
  const { line } = file.getLineAndCharacterOfPosition(node.getStart());
  throw new Error(
    `${file.fileName}:${line + 1}: ${K[node.kind]} has no translation: ${node.getText()}`,
  );
}

function typeOf(node) {
  const name = node.getText();
  if (classes.has(name)) return `${name} *`;
  return types[name] ?? fail(node);
}

/** The names that a function declares, which hide those around it. */
function declaredIn(node) {
  const found = new Set();
  const visit = (child) => {
    if (ts.isParameter(child) || ts.isVariableDeclaration(child)) found.add(child.name.text);
    ts.forEachChild(child, visit);
  };
  visit(node);
  return found;
}

/** Translates what is inside of a function, or behind a constant's name. */
function translator(names, hidden = new Set()) {
  function expression(node) {
    if (ts.isNumericLiteral(node)) return node.getText();
    if (ts.isParenthesizedExpression(node)) return `(${expression(node.expression)})`;
    if (ts.isIdentifier(node)) return identifier(node);
    if (ts.isBinaryExpression(node)) {
      const [a, b] = [expression(node.left), expression(node.right)];
      return `${a} ${node.operatorToken.getText()} ${b}`;
    }
    if (ts.isPrefixUnaryExpression(node))
      return `${ts.tokenToString(node.operator)}${expression(node.operand)}`;
    if (ts.isPostfixUnaryExpression(node))
      return `${expression(node.operand)}${ts.tokenToString(node.operator)}`;
    if (ts.isConditionalExpression(node)) {
      return `${expression(node.condition)} ? ${expression(node.whenTrue)} : ${expression(node.whenFalse)}`;
    }
    if (ts.isTypeAssertionExpression(node))
      return `((${typeOf(node.type)})(${expression(node.expression)}))`;
    if (ts.isPropertyAccessExpression(node)) {
      if (node.getText() === 'f32.MAX_VALUE') return 'FLT_MAX';
      return `${expression(node.expression)}->${node.name.text}`;
    }
    if (ts.isCallExpression(node)) return call(node);
    if (node.kind === K.TrueKeyword) return '1';
    if (node.kind === K.FalseKeyword) return '0';
    return fail(node);
  }

  function identifier({ text }) {
    if (text === 'NaN') return 'NAN';
    if (text === 'Infinity') return 'INFINITY';
    return hidden.has(text) ? text : (names.get(text) ?? text);
  }

  function call(node) {
    const callee = node.expression.getText();
    const args = node.arguments.map(expression);
    const type = node.typeArguments?.[0];
    if (callee === 'load' || callee === 'store') {
      return `${callee.toUpperCase()}(${[typeOf(type), ...args].join(', ')})`;
    }
    if (callee === 'changetype') {
      if (type.getText() === 'usize') return `((uint32_t)((uint8_t *)${args[0]} - mem))`;
      return `((${typeOf(type)})(mem + ${args[0]}))`;
    }
    if (callee === 'offsetof') return `((uint32_t)sizeof(${type.getText()}))`;
    if (callee === 'memory.copy')
      return `memmove(mem + (${args[0]}), mem + (${args[1]}), ${args[2]})`;
    if (callee === 'memory.fill') return `memset(mem + (${args[0]}), ${args[1]}, ${args[2]})`;
    if (callee === 'Math.sqrt') return `sqrt(${args[0]})`;
    if (callee === 'v128.shuffle') {
      const lanes = args.slice(2).join('');
      shuffles.add(lanes);
      return `SHUFFLE(${lanes}, ${args[0]}, ${args[1]})`;
    }
    if (['min', 'max', 'abs'].includes(callee))
      return `${callee.toUpperCase()}(${args.join(', ')})`;
    if (names.get(callee)?.includes('_'))
      return `${names.get(callee)}(${['mem', ...args].join(', ')})`;
    return `${callee.replace('.', '_')}(${args.join(', ')})`;
  }

  function variables(list) {
    return list.declarations
      .map(({ name, type, initializer }) => {
        const declared = type ? typeOf(type) : '__auto_type';
        return `${declared} ${name.text} = ${expression(initializer)}`;
      })
      .join('; ');
  }

  function statement(node, indent) {
    const inner = (child) => statement(child, indent);
    if (ts.isBlock(node)) {
      const lines = node.statements.map(
        (child) => `${indent}  ${statement(child, `${indent}  `)}\n`,
      );
      return `{\n${lines.join('')}${indent}}`;
    }
    if (ts.isVariableStatement(node)) return `${variables(node.declarationList)};`;
    if (ts.isExpressionStatement(node)) return `${expression(node.expression)};`;
    if (ts.isReturnStatement(node)) {
      return node.expression ? `return ${expression(node.expression)};` : 'return;';
    }
    if (ts.isIfStatement(node)) {
      const otherwise = node.elseStatement ? ` else ${inner(node.elseStatement)}` : '';
      return `if (${expression(node.expression)}) ${inner(node.thenStatement)}${otherwise}`;
    }
    if (ts.isWhileStatement(node))
      return `while (${expression(node.expression)}) ${inner(node.statement)}`;
    if (ts.isDoStatement(node))
      return `do ${inner(node.statement)} while (${expression(node.expression)});`;
    if (ts.isForStatement(node)) {
      const { initializer, condition, incrementor } = node;
      const first = initializer
        ? ts.isVariableDeclarationList(initializer)
          ? variables(initializer)
          : expression(initializer)
        : '';
      const [test, step] = [condition, incrementor].map((part) => (part ? expression(part) : ''));
      return `for (${first}; ${test}; ${step}) ${inner(node.statement)}`;
    }
    if (ts.isSwitchStatement(node)) {
      const clauses = node.caseBlock.clauses.map((clause) => {
        const label = ts.isDefaultClause(clause)
          ? 'default'
          : `case ${expression(clause.expression)}`;
        const body = clause.statements.map(
          (child) => `${indent}    ${statement(child, `${indent}    `)}\n`,
        );
        return `${indent}  ${label}:\n${body.join('')}`;
      });
      return `switch (${expression(node.expression)}) {\n${clauses.join('')}${indent}}`;
    }
    if (node.kind === K.ContinueStatement) return 'continue;';
    if (node.kind === K.BreakStatement) return 'break;';
    if (node.kind === K.EmptyStatement) return ';';
    return fail(node);
  }

  return { expression, statement };
}

function struct(node) {
  classes.add(node.name.text);
  const fields = node.members.map((field) => `  ${typeOf(field.type)} ${field.name.text};\n`);
  return `typedef struct {\n${fields.join('')}} ${node.name.text};\n`;
}

function constant(file, { declarationList }) {
  const [{ name, type, initializer }] = declarationList.declarations;
  const value = translator(file.names).expression(initializer);
  const named = `${typeOf(type)} ${file.names.get(name.text)} = ${value};\n`;
  return declarationList.flags & ts.NodeFlags.Const
    ? `static const ${named}`
    : `static _Thread_local ${named}`;
}

function signature(file, node) {
  const inline = ts
    .getDecorators(node)
    ?.some(({ expression }) => expression.getText() === 'inline');
  const parameters = node.parameters.map(({ name, type }) => `${typeOf(type)} ${name.text}`);
  const declared = `${typeOf(node.type)} ${file.names.get(node.name.text)}`;
  return `${inline ? 'INLINE' : 'static'} ${declared}(${['uint8_t *mem', ...parameters].join(', ')})`;
}

/** How a kernel is called with numbers as JavaScript has them. */
function entry(file, node) {
  const args = node.parameters.map(({ type }, i) => {
    const to = typeOf(type);
    const whole = `(uint32_t)(int64_t)args[${i}]`;
    if (to.endsWith('*')) return `(${to})(mem + ${whole})`;
    return to === 'float' || to === 'double' ? `(${to})args[${i}]` : `(${to})${whole}`;
  });
  const name = node.name.text;
  const call = `${file.names.get(name)}(${['mem', ...args].join(', ')})`;
  const body = typeOf(node.type) === 'void' ? `${call}; return 0;` : `return ${call};`;
  return {
    name,
    count: args.length,
    text: `static double call_${name}(uint8_t *mem, const double *args) { ${body} }\n`,
  };
}

/** The kernels as one text in C, which includes simd.h. */
export function translate() {
  const { files, exported } = collect();
  const parts = {
    structs: '',
    constants: '',
    prototypes: '',
    functions: '',
    entries: '',
    table: '',
  };
  for (const file of files) {
    for (const node of file.tree.statements) {
      if (ts.isClassDeclaration(node)) parts.structs += struct(node);
    }
  }
  const functions = new Map();
  for (const file of files) {
    for (const node of file.tree.statements) {
      if (ts.isVariableStatement(node)) parts.constants += constant(file, node);
      if (!ts.isFunctionDeclaration(node) || left.has(node.name.text)) continue;
      const head = signature(file, node);
      parts.prototypes += `${head};\n`;
      const { statement } = translator(file.names, declaredIn(node));
      parts.functions += `\n${head} ${statement(node.body, '')}\n`;
      functions.set(`${file.name}_${node.name.text}`, { file, node });
    }
  }
  for (const { from, name } of exported) {
    const { file, node } = functions.get(`${from}_${name}`);
    const { text, count } = entry(file, node);
    parts.entries += text;
    parts.table += `  { "${name}", ${count}, call_${name} },\n`;
  }
  const patterns = [...shuffles].map(
    (lanes) => `DEFINE_SHUFFLE(${[lanes, ...lanes].join(', ')})\n`,
  );
  return `/* Translated by scripts/translate.mjs from the kernels of @invnet/tensor; not for editing. */
#include "simd.h"
#include "kernels.h"

${patterns.join('')}
${parts.structs}
${parts.constants}
${parts.prototypes}${parts.functions}
${parts.entries}
static void scratchAt(uint32_t word) { scratch_entry = word; }

static const Kernel table[] = {
${parts.table}};

const Kernels KERNELS = { table, sizeof table / sizeof *table, scratchAt, multiplyAdd };
`;
}
