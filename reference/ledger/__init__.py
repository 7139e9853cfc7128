"""The parity ledger: how much of PyTorch's differentiable API minigrad reproduces, counted on PyTorch's own cases.

    python -m reference.ledger                        every operation, module and optimizer, a few minutes
    python -m reference.ledger 'conv*' --verbose      some of them, each failing sample in full
    python -m reference.ledger --write                and write reference/parity.json and reference/PARITY.md

PyTorch's wheel holds the databases its own tests run on (`torch.testing._internal`: `op_db`, `module_db`, `optim_db`):
for every operation, module and optimizer, a function that draws samples of its arguments. Each sample is copied to both
engines and compared at these levels (an optimizer at the first and the last):

    forward        values, shapes and dtypes of all outputs
    gradient       of every input, for random incoming gradients
    second order   of a random projection of those gradients, in float64, where PyTorch's own tests do it
    errors         the type of the exception that PyTorch's bad samples raise

and before them all: is there a function of that name. The files, from the bottom up:

    transport.py   a sample's arguments as NumPy arrays, and on either engine; functions written over torch, on minigrad
    compare.py     when two results are equal, and what is said when they are not
    ledger.py      Row and Count: what is written down
    levels.py      one sample at every level
    databases.py   op_db, module_db and optim_db, imported
    entry.py       one line of a database: its samples, drawn, run and counted
    operations.py  op_db; families.py sorts it under headings, core_ops.txt lists what is used most
    modules.py     module_db
    optimizers.py  optim_db: some steps with each configuration
    workers.py     processes that measure entries; one that dies or hangs costs its row only
    report.py      totals, the terminal, JSON and Markdown
"""
