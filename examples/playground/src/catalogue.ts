/** All that a file may hold; in a module of its own, which is fetched when the first one is opened. */
export { flowCatalogue } from '@invnet/flows';
