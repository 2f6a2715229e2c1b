"""Every term of every equation is held by a test: a mutant, which states one term otherwise, makes a test fail.

``python -m tests.mutations`` makes all mutants, runs the tests on each and prints those that no test notices. Its exit
code is 1 if there are any. It takes minutes; ``--match 'aten.conv*'`` takes the equations of some operators only.

First every test runs once as it is, and which equations it computes is noted, with their quantities. Then, for each
mutant, those tests run to which it gives another cost, the most specific first, until one fails.

Operators with one formula are one use of one equation. An equation that has a name in its module may have several uses,
one for each measure that gives it quantities: each must be computed by a test, and each term be noticed in one of them.
Other names of operators, which have the equations of these, are uses as well, one for each row of a table of aliases.
"""
