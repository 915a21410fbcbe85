// The suites write `.to.be.empty()`, `.eventually.be.rejected()` and `.to.equalBytes()`: three plugins of chai.
// The order matters: chai-parentheses wraps the assertions that exist when it is applied.
import { use } from 'chai'
import promises from 'chai-as-promised'
import bytes from 'chai-bites'
import parentheses from 'chai-parentheses'

for (const plugin of [promises, parentheses, bytes]) use(plugin)

export { assert, expect } from 'chai'
