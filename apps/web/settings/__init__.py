"""The pages on which people set up their account and their organization. `apps.web.context.TABS`
names their parts."""
