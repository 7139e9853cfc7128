"""PyTorch's databases of cases, imported with no trace: the bare import forbids to set flags of torch.backends."""

import torch

with torch.backends.__allow_nonbracketed_mutation():  # puts the permission back as it was
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db

__all__ = ["module_db", "op_db", "optim_db"]
