/** Opens MPI, by the library that is named. */
import { openMpi } from '@invnet/mpi';

const [library] = process.argv.slice(2);
const communicator = openMpi(library === undefined ? {} : { library });
console.log(communicator.size);
communicator.close();
