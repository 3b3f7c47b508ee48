import 'lokahi/worker-scope'
