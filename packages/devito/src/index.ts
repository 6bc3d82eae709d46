/** Devito as an engine of the operators of `@invnet/operators`, in a Python process of its own. */

export { DevitoError } from './connection.ts';
export { Devito, type DevitoOptions, type DevitoVersions } from './devito.ts';
