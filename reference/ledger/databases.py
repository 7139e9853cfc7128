"""PyTorch's databases of cases, imported with no trace: the bare import forbids to set flags of torch.backends, and has
Hypothesis run every test from then on with PyTorch's own settings.
"""

import torch
from hypothesis import settings

profile = settings.get_current_profile_name()
settings.register_profile("ours", settings.default)  # torch has a profile "dev" too
with torch.backends.__allow_nonbracketed_mutation():  # puts the permission back as it was
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db
settings.register_profile(profile, settings.get_profile("ours"))
settings.load_profile(profile)

__all__ = ["module_db", "op_db", "optim_db"]
