import * as lokahi from 'lokahi'
import { golden } from './golden.js'

const { backend } = await lokahi.init()
console.log(JSON.stringify({ backend, ...(await golden(lokahi, './places')) }))
